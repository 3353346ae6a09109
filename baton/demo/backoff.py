"""When to come back after a close, and how long to wait before it."""

import random

SERVICE_RESTART = 1012
NO_CLOSE_FRAME = 1006
"""Never sent: the connection was lost without a close."""

FIRST_S = 0.5
MOST_S = 20.0


def may_come_back(close_code: int) -> bool:
    """Whether the protocol invites the client back after this close code."""
    return close_code in {SERVICE_RESTART, NO_CLOSE_FRAME} or 3000 <= close_code <= 3499 or 4000 <= close_code <= 4499


def full_jitter(attempt: int, chance: random.Random, *, first: float = FIRST_S, most: float = MOST_S) -> float:
    """Seconds to wait before attempt 0, 1, 2 …: anything from 0 to `first` doubled each time, at most `most`.

    Exponential backoff with full jitter (M. Brooker, 2015): clients that lost one server together return apart.
    """
    return chance.uniform(0.0, min(most, first * 2.0 ** min(attempt, 32)))
