from itertools import pairwise
from math import hypot, trunc

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.puzzle.types.base import InvalidAnswer, Json
from services.puzzle.types.gates import Gate
from services.puzzle.types.spatial import HEIGHT, MAX_POINTS, TIME_LIMIT_MS, Spatial, is_slow_enough
from tests.unit.puzzle.types.subjects import SPATIAL, straight

FRAME_MS = 50


def stretched(trace: list[list[int]], points: int) -> list[list[int]]:
    """The same way in more points: at the goal it rests a millisecond at a time."""
    t, x, y = trace[-1]
    return [*trace, *([t + more, x, y] for more in range(1, points - len(trace) + 1))]


def test_a_trace_of_the_most_points_is_accepted() -> None:
    puzzle = Spatial().generate(5)
    trace = stretched(SPATIAL.solve(puzzle.view)["trace"], MAX_POINTS)
    assert len(trace) == MAX_POINTS
    assert Spatial().check(puzzle.view, puzzle.hidden, {"trace": trace})


def test_a_trace_may_take_all_the_time_but_no_more() -> None:
    puzzle = Spatial().generate(5)
    trace = SPATIAL.solve(puzzle.view)["trace"]
    for end, verdict in ((TIME_LIMIT_MS, True), (TIME_LIMIT_MS + 1, False)):
        assert Spatial().check(puzzle.view, puzzle.hidden, {"trace": [*trace, [end, *trace[-1][1:]]]}) is verdict


def test_points_on_both_sides_of_a_wall_do_not_hide_the_way_through_it() -> None:
    for seed in range(50):
        puzzle = Spatial().generate(seed, 5)
        assert not Spatial().check(puzzle.view, puzzle.hidden, straight(puzzle.view, 0, 800))


def test_the_goal_counts_where_the_trace_ends_and_nowhere_else() -> None:
    puzzle = Spatial().generate(8)
    trace = SPATIAL.solve(puzzle.view)["trace"]
    goal = puzzle.view["goal"]
    t, x, _ = trace[-1]
    # Two seconds are enough from anywhere in the goal to any height.
    for y, verdict in (
        (goal["y"], goal["y"] >= 20),
        (goal["y"] - 1, False),
        (goal["y"] + goal["height"], goal["y"] + goal["height"] <= 580),
        (goal["y"] + goal["height"] + 1, False),
    ):
        moved = [*trace, [t + 2_000, x, y]]
        assert Spatial().check(puzzle.view, puzzle.hidden, {"trace": moved}) is verdict, y


def test_the_speed_limit_is_kept_exactly() -> None:
    assert is_slow_enough((0, 0, 0), (1_000, 800, 0), 800)
    assert not is_slow_enough((0, 0, 0), (999, 800, 0), 800)
    assert is_slow_enough((0, 0, 0), (1_000, 480, 640), 800)
    assert not is_slow_enough((0, 0, 0), (1_000, 480, 641), 800)
    assert not is_slow_enough((5, 0, 0), (5, 0, 0), 800)
    assert not is_slow_enough((5, 0, 0), (4, 0, 0), 800)


@settings(deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(20, 980), st.integers(20, 580)), min_size=1, max_size=60))
def test_a_square_that_follows_the_pointer_as_documented_keeps_the_speed_limit(
    pointers: list[tuple[int, int]],
) -> None:
    trace = [(0, 50, 300)]
    for pointer in pointers:
        t, x, y = trace[-1]
        dx, dy = pointer[0] - x, pointer[1] - y
        share = min(1, 800 * FRAME_MS / 1000 / (hypot(dx, dy) or 1))
        trace.append((t + FRAME_MS, x + trunc(dx * share), y + trunc(dy * share)))
    assert all(is_slow_enough(before, after, 800) for before, after in pairwise(trace))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(0, 2**63 - 1), st.integers(1, 5))
def test_a_dealt_field_can_be_played(seed: int, difficulty: int) -> None:
    view: Json = Spatial().generate(seed, difficulty).view
    half, start, goal = view["half_size"], view["start"], view["goal"]
    gates = msgspec.convert(view["gates"], list[Gate])
    for gate in gates:
        travel = gate.speed * gate.half_period_ms / 1000
        assert HEIGHT - gate.gap - 1 < travel <= HEIGHT - gate.gap, "the gap uses its whole way and stays inside"
        assert gate.gap >= 2 * half + 100, "there is room for an unsteady hand"
        assert 0 <= gate.phase_ms < 2 * gate.half_period_ms
    for one, other in pairwise(gates):
        assert other.x - (one.x + one.width) >= 2 * half + 30, "the square fits between walls"
    assert start["x"] + half < gates[0].x, "the start is free"
    assert goal["x"] > gates[-1].x + gates[-1].width, "the goal is free"
    assert half <= start["y"] <= HEIGHT - half
    assert 0 <= goal["y"] <= HEIGHT - goal["height"]


def test_a_trace_that_claims_more_time_than_the_puzzle_was_open_is_refused() -> None:
    spatial = Spatial()
    dealt = spatial.generate(seed=7)
    answer = spatial.reveal(dealt.view, dealt.hidden)
    took = answer["trace"][-1][0]
    assert spatial.check(dealt.view, dealt.hidden, answer, elapsed_ms=took)
    with pytest.raises(InvalidAnswer, match="longer than the puzzle has been open"):
        spatial.check(dealt.view, dealt.hidden, answer, elapsed_ms=took - 1_000)
