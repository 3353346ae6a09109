"""Doing something for everything again and again, a few at a time, so that it never takes the loop for long."""

from collections.abc import Sequence
from typing import Final, TypeVar

STEP_S: Final = 0.25

Thing = TypeVar("Thing")


def shares(things: Sequence[Thing], period_s: float) -> list[Sequence[Thing]]:
    """What to do at each of the steps of STEP_S into which a round of `period_s` is divided."""
    steps = max(1, round(period_s / STEP_S))
    return [things[step::steps] for step in range(steps)]
