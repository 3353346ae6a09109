"""Named points at which a process can be told to die, as by kill -9, to prove that nothing hangs on where it dies.

`BATON_CRASH=commit.after:3` ends the process the third time that it comes by that point. For tests: settings refuse it
outside development, and where it is not set, coming by costs one look at a variable.
"""

import os
from collections.abc import Callable
from itertools import count

POINTS = frozenset(
    {
        "commit.before",  # all was written, nothing is committed
        "commit.after",  # committed, and nothing has left the process
        "send.before",
        "send.after",  # an event is in its stream, perhaps before the first of its consumers knows
        "acknowledge.before",  # an event took effect, and nobody knows
        "acknowledge.after",  # confirmed to its producer and acknowledged to Valkey
        "confirmed.before",  # a confirmation was read, which is not read again, and its row is still in the outbox
        "confirmed.after",
        "told.before",  # a room is to be told
        "told.after",  # it was told, and is still noted as untold
        "forgotten.before",
        "forgotten.after",  # nothing is noted of the room any more
    }
)
EXIT_CRASH = 137
"""What a shell makes of a death by SIGKILL."""

_on_pass: Callable[[str], None] | None = None


def passed(point: str) -> None:
    """The process comes by a point: it goes on, or ends here."""
    if _on_pass is not None:
        _on_pass(point)


def parse(setting: str) -> tuple[str, int]:
    """A point and the how-manieth passing is the last. Raises ValueError."""
    point, colon, times = setting.partition(":")
    if point not in POINTS:
        raise ValueError(f"there is no crash point {point!r}; there are {', '.join(sorted(POINTS))}")
    if colon and (not times.isascii() or not times.isdecimal() or int(times) < 1):
        raise ValueError(f"{times!r} is no number of passings: give POINT or POINT:NUMBER")
    return point, int(times or 1)


def arm(setting: str) -> None:
    """End this process, or the child of it that comes first, where `setting` says. Raises ValueError."""
    global _on_pass
    last, limit = parse(setting)
    passings = count(1)

    def die(point: str) -> None:
        if point == last and next(passings) == limit:
            os.write(2, f"crash point {point} reached\n".encode())
            os._exit(EXIT_CRASH)

    _on_pass = die
