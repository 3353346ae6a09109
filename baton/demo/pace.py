"""How bots think and err, and rules under which a game of such bots lasts about a minute."""

import math
import random
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

THINKING_S = {"memory": 2.5, "multitasking": 3.5, "concentration": 3.5, "spatial": 4.5}
"""Median seconds that a bot looks at a puzzle at speed 1."""
THINKING_OTHER_S = 3.5
SPREAD = 0.35
"""Sigma of the log-normal thinking time: now and then somebody takes twice as long."""
DOZING = 0.2
"""The part of a bot's mistakes in which it gives no answer at all, and the puzzle expires."""

START_POINTS = 30
AWARD = 4
LASTS_S = 62.0
COUNTDOWN_MS = 3_000
SHORTEST_INTERVAL_MS = 500


class Move(StrEnum):
    """What a bot does with a puzzle."""

    RIGHT = "right"
    WRONG = "wrong"
    NOTHING = "nothing"


def choose_move(skill: float, chance: random.Random) -> Move:
    """Right with probability `skill`; else mostly wrong, sometimes nothing."""
    if chance.random() < skill:
        return Move.RIGHT
    return Move.NOTHING if chance.random() < DOZING else Move.WRONG


def thinking_s(puzzle_type: str, speed: float, chance: random.Random) -> float:
    """Seconds until the answer is given."""
    median = THINKING_S.get(puzzle_type, THINKING_OTHER_S)
    return median * chance.lognormvariate(0.0, SPREAD) / speed


def takes_s(answer: Mapping[str, Any]) -> float:
    """Seconds that the answer itself says that it took, such as a trace; the server does not take it any sooner."""
    trace = answer.get("trace")
    return trace[-1][0] / 1000 if trace else 0.0


def demo_rules(skill: float, speed: float) -> dict[str, Any]:
    """Rules that take a little more than such bots can give one another, so that it is over in about a minute.

    A player is given what one team-mate earns, and loses that and the starting points within `LASTS_S`. Fast bots
    begin with more, since they gain and lose more in the same time.
    """
    mean_s = sum(THINKING_S.values()) / len(THINKING_S) * math.exp(SPREAD**2 / 2) / speed
    start = max(START_POINTS, round(START_POINTS * speed))
    loss_per_s = AWARD * skill / mean_s + start / LASTS_S
    decay = math.ceil(loss_per_s * SHORTEST_INTERVAL_MS / 1000)
    return {
        "start_points": start,
        "award": AWARD,
        "decay": decay,
        "interval_ms": round(1000 * decay / loss_per_s),
        "countdown_ms": COUNTDOWN_MS,
    }
