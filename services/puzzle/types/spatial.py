"""Spatial: take a square across a field, through the moving gaps of several walls."""

from itertools import pairwise
from math import isqrt
from typing import Annotated

import msgspec

from services.puzzle.types.base import Generated, Json, PuzzleType
from services.puzzle.types.draw import Draw
from services.puzzle.types.gates import Gate

WIDTH, HEIGHT = 1000, 600
HALF = 20
SPEED_LIMIT = 800
START_X = 50
GOAL_WIDTH, GOAL_HEIGHT = 100, 160
GATE_WIDTH = 40
GATES_FROM, GATES_TO = 100, 900
MARGIN = 35
"""Two margins are left between walls: the square and 30 units to spare."""
CLEAR = HALF + 5
TIME_LIMIT_MS = 25_000
MAX_POINTS = 512

GATES = {1: 2, 2: 3, 3: 3, 4: 4, 5: 5}
GAP = {1: 220, 2: 200, 3: 180, 4: 170, 5: 150}
GAP_SPEED = {1: (80, 120), 2: (100, 150), 3: (130, 190), 4: (150, 220), 5: (170, 260)}

Point = tuple[int, int, int]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=600_000)]
Units = Annotated[int, msgspec.Meta(ge=0, le=10_000)]


class SpatialAnswer(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    trace: Annotated[list[tuple[Milliseconds, Units, Units]], msgspec.Meta(min_length=2, max_length=MAX_POINTS)]


class Spatial(PuzzleType[SpatialAnswer]):
    """The player's trace is a list of (t, x, y) and the straight, even moves between them.

    t = 0 is the moment the attempt began; the gaps go by the same time. A player may make any number of attempts
    before sending one.
    """

    name = "spatial"
    version = 1
    skill = "Spatial awareness"
    max_answer_bytes = 16_384
    answer_type = SpatialAnswer

    def time_limit_ms(self, difficulty: int) -> int:
        return TIME_LIMIT_MS

    def claimed_ms(self, answer: SpatialAnswer) -> int:
        return answer.trace[-1][0]

    def guess_rate(self, difficulty: int) -> float:
        """An upper bound for any trace chosen without looking at the gates.

        Such a trace crosses the middle of a wall at some instant and height. The phases are uniform and independent,
        so the gap is at a uniform place of its way, and a stretch of gap - 2 * HALF of it at most lets the square
        pass. The unit more or less covers the rounding of way and phase.
        """
        gap = GAP[difficulty]
        return float(((gap - 2 * HALF + 1) / (HEIGHT - gap - 1)) ** GATES[difficulty])

    def deal(self, draw: Draw, difficulty: int) -> Generated:
        count, gap = GATES[difficulty], GAP[difficulty]
        slot = (GATES_TO - GATES_FROM) // count
        gates = []
        for number in range(count):
            speed = draw.between(*GAP_SPEED[difficulty])
            half_period = 1000 * (HEIGHT - gap) // speed
            gates.append(
                Gate(
                    x=GATES_FROM + number * slot + draw.between(MARGIN, slot - MARGIN - GATE_WIDTH),
                    width=GATE_WIDTH,
                    gap=gap,
                    speed=speed,
                    half_period_ms=half_period,
                    phase_ms=draw.below(2 * half_period),
                )
            )
        start = (START_X, draw.between(2 * HALF, HEIGHT - 2 * HALF))
        goal_y = draw.between(0, HEIGHT - GOAL_HEIGHT)
        view = {
            "field": {"width": WIDTH, "height": HEIGHT},
            "half_size": HALF,
            "speed_limit": SPEED_LIMIT,
            "start": {"x": start[0], "y": start[1]},
            "goal": {"x": WIDTH - GOAL_WIDTH, "y": goal_y, "width": GOAL_WIDTH, "height": GOAL_HEIGHT},
            "gates": [msgspec.to_builtins(gate) for gate in gates],
            "time_limit_ms": TIME_LIMIT_MS,
            "max_points": MAX_POINTS,
        }
        trace = walk(start, (WIDTH - GOAL_WIDTH // 2, goal_y + GOAL_HEIGHT // 2), gates)
        return Generated(view=view, hidden={"trace": trace})

    def judge(self, view: Json, hidden: Json, answer: SpatialAnswer) -> bool:
        trace, half, limit = answer.trace, view["half_size"], view["speed_limit"]
        start, goal, (end, end_x, end_y) = view["start"], view["goal"], trace[-1]
        if trace[0] != (0, start["x"], start["y"]) or end > view["time_limit_ms"]:
            return False
        if not (0 <= end_x - goal["x"] <= goal["width"] and 0 <= end_y - goal["y"] <= goal["height"]):
            return False
        right, bottom = view["field"]["width"] - half, view["field"]["height"] - half
        if not all(half <= x <= right and half <= y <= bottom for _, x, y in trace):
            return False
        moves = list(pairwise(trace))
        if not all(is_slow_enough(before, after, limit) for before, after in moves):
            return False
        gates = msgspec.convert(view["gates"], list[Gate])
        return not any(gate.touches(before, after, half) for before, after in moves for gate in gates)


def is_slow_enough(before: Point, after: Point, limit: int) -> bool:
    """Is `after` later than `before`, and near enough to be reached at `limit` units per second?"""
    dt, dx, dy = after[0] - before[0], after[1] - before[1], after[2] - before[2]
    return dt > 0 and 1_000_000 * (dx * dx + dy * dy) <= (limit * dt) ** 2


def walk(start: tuple[int, int], end: tuple[int, int], gates: list[Gate]) -> list[list[int]]:
    """A trace that gets there: along the middle of the field, waiting at each wall until the gap comes by.

    It always does, for each gap's way spans the middle; and it stays there for (gap - 2 * HALF) / speed, at
    least 423 ms, where crossing takes 113. A wait is shorter than a period, so the time limit is kept too.
    """
    trace: list[Point] = [(0, *start)]

    def go(x: int, y: int) -> Point:
        t0, x0, y0 = trace[-1]
        way_squared = 1_000_000 * ((x - x0) ** 2 + (y - y0) ** 2)
        return t0 + isqrt(max(0, way_squared - 1)) // SPEED_LIMIT + 1, x, y

    for gate in gates:
        trace.append(go(gate.x - CLEAR, HEIGHT // 2))
        arrival = trace[-1]
        across = go(gate.x + gate.width + CLEAR, HEIGHT // 2)
        wait = 0
        while gate.touches((arrival[0] + wait, *arrival[1:]), (across[0] + wait, *across[1:]), HALF):
            wait += 10
        if wait:
            trace.append((arrival[0] + wait, *arrival[1:]))
        trace.append((across[0] + wait, *across[1:]))
    trace.append(go(*end))
    return [list(point) for point in trace]
