"""How long an answer takes until the last socket of the team has heard of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from contracts.ids import PuzzleId


class Spread(Struct, frozen=True, kw_only=True):
    """A distribution in milliseconds."""

    count: int
    p50: float | None
    p99: float | None
    worst: float | None


@dataclass
class Latencies:
    """Both measures of every answer whose event reached all sockets of its team, in milliseconds.

    `from_request` runs from the sending of the answer to the receipt of `puzzle.solved` or `puzzle.failed` on the last
    socket: it holds the judging, and everything after it. `from_response` begins when the answer is known to be
    accepted, so it is negative where all sockets knew before the one who answered. One clock, the bots' own.
    """

    from_request: list[float] = field(default_factory=list)
    from_response: list[float] = field(default_factory=list)


@dataclass
class _Answer:
    sent: float
    accepted: float | None = None
    heard: list[float] = field(default_factory=list)


class Stopwatch:
    """Follows the answers of one team with `sockets` sockets. Instants are in seconds by `perf_counter`."""

    def __init__(self, sockets: int, latencies: Latencies) -> None:
        self._sockets = sockets
        self._latencies = latencies
        self._answers: dict[PuzzleId, _Answer] = {}

    def sent(self, puzzle_id: PuzzleId, at: float) -> None:
        self._answers[puzzle_id] = _Answer(at)

    def accepted(self, puzzle_id: PuzzleId, at: float) -> None:
        self._answers[puzzle_id].accepted = at
        self._finish(puzzle_id)

    def refused(self, puzzle_id: PuzzleId) -> None:
        self._answers.pop(puzzle_id, None)

    def heard(self, puzzle_id: PuzzleId, at: float) -> None:
        """One socket received the event that this puzzle was solved or failed."""
        if puzzle_id in self._answers:
            self._answers[puzzle_id].heard.append(at)
            self._finish(puzzle_id)

    def _finish(self, puzzle_id: PuzzleId) -> None:
        answer = self._answers[puzzle_id]
        if answer.accepted is None or len(answer.heard) < self._sockets:
            return
        last = max(answer.heard)
        self._latencies.from_request.append(1000 * (last - answer.sent))
        self._latencies.from_response.append(1000 * (last - answer.accepted))
        del self._answers[puzzle_id]


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The smallest value that at least `percent` per cent of them do not exceed (nearest rank); None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def spread(values: Sequence[float]) -> Spread:
    return Spread(
        count=len(values), p50=percentile(values, 50), p99=percentile(values, 99), worst=max(values, default=None)
    )
