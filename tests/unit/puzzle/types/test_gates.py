from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from services.puzzle.types.gates import Gate

GATE = Gate(x=100, width=40, gap=100, speed=100, half_period_ms=1_000, phase_ms=0)
HALF = 10
STEP = Fraction(1, 4)

Point = tuple[int, int, int]

gates = st.builds(
    Gate,
    x=st.integers(20, 60),
    width=st.integers(5, 40),
    gap=st.integers(20, 60),
    speed=st.integers(1, 2_000),
    half_period_ms=st.integers(3, 60),
    phase_ms=st.integers(0, 119),
)
places = st.tuples(st.integers(0, 120), st.integers(0, 120))


def upper_edge(gate: Gate, t: Fraction) -> Fraction:
    """The formula of docs/puzzles.md, at any instant."""
    u = (t + gate.phase_ms) % (2 * gate.half_period_ms)
    return gate.speed * min(u, 2 * gate.half_period_ms - u) / 1000


@settings(max_examples=300, deadline=None, derandomize=True)
@given(gates, st.integers(0, 500), st.integers(1, 60), places, places, st.integers(1, 15))
def test_it_agrees_with_looking_every_quarter_of_a_millisecond(
    gate: Gate, t0: int, dt: int, here: tuple[int, int], there: tuple[int, int], half: int
) -> None:
    touches = gate.touches((t0, *here), (t0 + dt, *there), half)
    speed_x, speed_y = Fraction(there[0] - here[0], dt), Fraction(there[1] - here[1], dt)
    # So far things move between two looks.
    slack_x, slack_y = abs(speed_x) * STEP, abs(speed_y) * STEP + gate.speed * STEP / 1000
    overlaps = nearly = False
    for look in range(int(dt / STEP) + 1):
        s = look * STEP
        x, y, upper = here[0] + speed_x * s, here[1] + speed_y * s, upper_edge(gate, t0 + s)
        depth = min(x - (gate.x - half), gate.x + gate.width + half - x)
        clearance = min(y - half - upper, upper + gate.gap - half - y)
        overlaps = overlaps or (depth > 0 and clearance < 0)
        nearly = nearly or (depth > -slack_x and clearance < slack_y)
    assert not (overlaps and not touches)
    assert not (touches and not nearly)


@pytest.mark.parametrize(
    ("start", "end", "touches", "why"),
    [
        ((0, 120, 60), (500, 120, 60), False, "the gap's upper edge just arrives at the square"),
        ((0, 120, 60), (501, 120, 60), True, "and a millisecond later is in it"),
        ((500, 120, 60), (1500, 120, 60), True, "it comes back as late"),
        ((1500, 120, 60), (2500, 120, 60), False, "a whole gap's swing about the top, touching at both ends"),
        ((900, 120, 110), (1100, 120, 110), False, "at the turn it touches"),
        ((900, 120, 109), (1100, 120, 109), True, "both ends are clear, the turn between them is not"),
        ((1900, 120, 90), (2100, 120, 90), False, "the lower edge touches at its turn"),
        ((1900, 120, 91), (2100, 120, 91), True, "the lower edge's turn is not clear"),
        ((0, 0, 300), (1000, 90, 300), False, "it stops when it touches the wall's side"),
        ((0, 0, 300), (1000, 91, 300), True, "it goes on"),
        ((0, 90, 300), (1000, 90, 0), False, "along the wall's left side"),
        ((0, 150, 300), (1000, 150, 0), False, "along the wall's right side"),
        ((0, 149, 300), (1000, 149, 0), True, "in the wall"),
        ((0, 150, 300), (1000, 300, 300), False, "away from its right side"),
        ((0, 149, 300), (1000, 300, 300), True, "out of it"),
        ((0, 0, 300), (1, 300, 300), True, "a leap over the whole wall"),
        ((0, 0, 50), (1, 300, 50), False, "a leap through the gap"),
        ((0, 300, 50), (1, 0, 50), False, "and back"),
        ((0, 300, 300), (1, 0, 300), True, "a leap back over the wall"),
        ((400, 60, 90), (500, 160, 190), True, "into the gap, but slanting into its lower edge"),
    ],
)
def test_edges_may_touch_but_not_overlap(start: Point, end: Point, touches: bool, why: str) -> None:
    assert GATE.touches(start, end, HALF) is touches, why
    # Later by what is left of the period, for a gate that is ahead by its phase.
    ahead = replace(GATE, phase_ms=1_300)
    later_start, later_end = (start[0] + 700, *start[1:]), (end[0] + 700, *end[1:])
    assert ahead.touches(later_start, later_end, HALF) is touches, why
