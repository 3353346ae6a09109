"""How a bot solves a puzzle: from what a player sees, and nothing else (docs/puzzles.md tells the rules).

Written apart from the server's own code on purpose: that these answers are accepted shows that the views
suffice.
"""

import math
from collections.abc import Callable
from typing import Any

View = dict[str, Any]
Answer = dict[str, Any]

STEP_MS = 20
"""How finely departures are tried and crossings are looked at."""
HEIGHTS = 12
"""How many heights are tried for each crossing."""
SPARE = 5
"""Units kept to a wall while waiting."""


def solve_memory(view: View) -> Answer:
    return {"colour": view["mapping"][str(view["question"])]}


def wrong_memory(view: View) -> Answer:
    right = solve_memory(view)["colour"]
    return {"colour": next(colour for colour in view["choices"] if colour != right)}


def solve_concentration(view: View) -> Answer:
    matches = [index for index, pair in enumerate(view["pairs"]) if pair["word"] == pair["circle"]]
    return {"index": matches[0]}


def wrong_concentration(view: View) -> Answer:
    return {"index": (solve_concentration(view)["index"] + 1) % len(view["pairs"])}


def solve_multitasking(view: View) -> Answer:
    return {"columns": [row.index("6") for row in view["rows"]]}


def wrong_multitasking(view: View) -> Answer:
    first, *others = solve_multitasking(view)["columns"]
    return {"columns": [(first + 1) % len(view["rows"][0]), *others]}


def solve_spatial(view: View) -> Answer:
    """Wall by wall: of some heights, take the one at which the square is through first. Then to the goal."""
    half, speed = view["half_size"], view["speed_limit"]
    goal = view["goal"]
    trace = [[0, view["start"]["x"], view["start"]["y"]]]
    for gate in sorted(view["gates"], key=lambda gate: int(gate["x"])):
        before = gate["x"] - half - SPARE
        after = gate["x"] + gate["width"] + half + SPARE
        crossing = math.ceil(1000 * (after - before) / speed)
        leave, arrive, y = min(_departures(view, gate, trace[-1], before, crossing))
        trace.append([arrive, before, y])
        if leave > arrive:
            trace.append([leave, before, y])
        trace.append([leave + crossing, after, y])
    x, y = goal["x"] + goal["width"] // 2, goal["y"] + goal["height"] // 2
    trace.append([_arrival(trace[-1], x, y, speed), x, y])
    return {"trace": trace}


def wrong_spatial(view: View) -> Answer:
    """Stays at the start."""
    x, y = view["start"]["x"], view["start"]["y"]
    return {"trace": [[0, x, y], [1, x, y]]}


def _departures(view: View, gate: View, here: list[int], before: int, crossing: int) -> list[tuple[int, int, int]]:
    """For each height the earliest safe (leave, arrive, y) for the crossing that begins at x = `before`."""
    half, height = view["half_size"], view["field"]["height"]
    found = []
    for number in range(HEIGHTS + 1):
        y = half + number * (height - 2 * half) // HEIGHTS
        arrive = _arrival(here, before, y, view["speed_limit"])
        leave = arrive
        # Wherever the gap is, within a whole period it has been everywhere it goes.
        while leave - arrive <= 2 * gate["half_period_ms"] and not _is_open(gate, leave, crossing, y, half):
            leave += STEP_MS
        if leave - arrive <= 2 * gate["half_period_ms"]:
            found.append((leave, arrive, y))
    return found


def _arrival(here: list[int], x: int, y: int, speed: int) -> int:
    """When can the square be at (x, y)? One millisecond is added for rounding."""
    return here[0] + math.ceil(1000 * math.dist(here[1:], (x, y)) / speed) + 1


def _is_open(gate: View, leave: int, crossing: int, y: int, half: int) -> bool:
    """Is the gap around the square all the while? The margin is what the gap moves between two looks."""
    margin = gate["speed"] * STEP_MS / 1000
    for t in range(leave, leave + crossing + STEP_MS, STEP_MS):
        upper = _upper_edge(gate, t)
        if not upper + margin <= y - half or not y + half <= upper + gate["gap"] - margin:
            return False
    return True


def _upper_edge(gate: View, t: int) -> float:
    half_period = gate["half_period_ms"]
    u = (t + gate["phase_ms"]) % (2 * half_period)
    return float(gate["speed"] * min(u, 2 * half_period - u) / 1000)


SOLVERS: dict[str, Callable[[View], Answer]] = {
    "memory": solve_memory,
    "spatial": solve_spatial,
    "concentration": solve_concentration,
    "multitasking": solve_multitasking,
}
"""By puzzle type: the right answer to a view."""

WRONG_ANSWERS: dict[str, Callable[[View], Answer]] = {
    "memory": wrong_memory,
    "spatial": wrong_spatial,
    "concentration": wrong_concentration,
    "multitasking": wrong_multitasking,
}
"""By puzzle type: an answer of the right shape that is wrong for sure."""
