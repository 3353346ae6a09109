"""Rules of games at random, all of which last about so long with bots of that speed."""

import math
import random
from typing import Any

from baton.demo.pace import SPREAD, THINKING_S

SKILL = 0.85
TYPES = ["concentration", "memory", "multitasking"]
"""The walk through a spatial puzzle takes its time; so it is in a few games alone."""


def random_rules(chance: random.Random, speed: float) -> dict[str, Any]:
    """Some rules: a game of one to four, that decays faster than its team can help one another."""
    lasts_s = chance.uniform(8.0, 30.0)
    award, start_points = chance.choice([1, 4, 5]), chance.choice([15, 60, 200])
    types = chance.choice([TYPES, TYPES, TYPES, ["memory"], [*TYPES, "spatial"]])
    answer_s = sum(THINKING_S[name] for name in types) / len(types) * math.exp(SPREAD**2 / 2) / speed
    loss_per_s = award * SKILL / answer_s + start_points / lasts_s
    interval_ms = chance.choice([250, 333, 500, 1000])
    return {
        "start_points": start_points,
        "award": award,
        "penalty": chance.choice([0, 0, 1, 3]),
        "decay": max(1, math.ceil(loss_per_s * interval_ms / 1000)),
        "interval_ms": interval_ms,
        "countdown_ms": chance.choice([0, 300, 1000]),
        "seats": chance.choice([1, 2, 3, 3, 4, 4]),
        "award_target": chance.choice(["next_active", "next_active", "next_seat"]),
        "puzzle_types": types,
        "difficulty": chance.choice([1, 2, 3]),
    }
