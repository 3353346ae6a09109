"""The rules of dealing and answering, without any I/O: instants are arguments, chance comes from a session's seed."""

import hashlib
import hmac
import math
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from msgspec import Struct

from contracts.ids import PlayerId, PuzzleId, SessionId, TeamId
from contracts.puzzles import ClosedPuzzle, PuzzleView, Verdict

DEEPEST_ANSWER = 32
SEED_BITS = 63


class Status(StrEnum):
    """A session as far as puzzles are concerned, only forward."""

    COUNTDOWN = "countdown"
    ACTIVE = "active"
    FINISHED = "finished"


class PuzzleStatus(StrEnum):
    """A puzzle's life: open, then one of the others for good. Withdrawn: its player or its session is out."""

    OPEN = "open"
    SOLVED = "solved"
    FAILED = "failed"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class Session(Struct, frozen=True, kw_only=True):
    """A session, as its locked row tells it."""

    session_id: SessionId
    team_id: TeamId
    status: Status
    puzzle_types: list[str]
    difficulty: int
    seed: int
    points_version: int
    version: int
    last_at: int
    dealt: int


class Puzzle(Struct, frozen=True, kw_only=True):
    """A dealt puzzle with its secret."""

    puzzle_id: PuzzleId
    session_id: SessionId
    player_id: PlayerId
    type: str
    type_version: int
    difficulty: int
    seed: int
    view: dict[str, Any]
    hidden: dict[str, Any]
    status: PuzzleStatus
    opened_at: int
    deadline: int

    @property
    def public(self) -> PuzzleView:
        """What everybody may see of it while it is open."""
        return PuzzleView(
            puzzle_id=self.puzzle_id,
            type=self.type,
            difficulty=self.difficulty,
            view=self.view,
            opened_at=self.opened_at,
            deadline=self.deadline,
        )


class Closing(Struct, frozen=True, kw_only=True):
    """How a puzzle ends: what is stored of it, and what is told."""

    closed: ClosedPuzzle
    answer: dict[str, Any] | None = None


class Turn(Struct, frozen=True, kw_only=True):
    """What a turn left: the session as it is now, the puzzle that was dealt, and what was closed, if anything was."""

    session: Session
    dealt: Puzzle
    closing: Closing | None


class Refusal(StrEnum):
    """Why something is not allowed now. The values are the problem codes that clients see."""

    SESSION_NOT_ACTIVE = "session_not_active"
    PLAYER_ELIMINATED = "player_eliminated"
    PUZZLE_OPEN = "puzzle_open"
    PUZZLE_CLOSED = "puzzle_closed"
    PUZZLE_EXPIRED = "puzzle_expired"


def instant(session: Session, now: int) -> int:
    """When something that happens `now` takes effect: never before what happened in the session already."""
    return max(now, session.last_at)


def is_over(puzzle: Puzzle, at: int) -> bool:
    """Whether its time is up. What happens at the very deadline comes too late."""
    return at >= puzzle.deadline


def may_play(session: Session, eliminated_at: int | None) -> Refusal | None:
    """Why this player may not be dealt or answer anything, or None."""
    if session.status is not Status.ACTIVE:
        return Refusal.SESSION_NOT_ACTIVE
    if eliminated_at is not None:
        return Refusal.PLAYER_ELIMINATED
    return None


def may_answer(session: Session, puzzle: Puzzle, eliminated_at: int | None, at: int) -> Refusal | None:
    """Why an answer to this puzzle is not taken at `at`, or None."""
    if refusal := may_play(session, eliminated_at):
        return refusal
    if puzzle.status is not PuzzleStatus.OPEN:
        return Refusal.PUZZLE_CLOSED
    if is_over(puzzle, at):
        return Refusal.PUZZLE_EXPIRED
    return None


def next_seed(session: Session) -> int:
    """The seed of the session's next puzzle.

    HMAC-SHA256 of the puzzle's number, keyed with the session's secret: who knows any number of a session's puzzles,
    even their seeds, can neither tell the secret nor the next one.
    """
    key = session.seed.to_bytes(8, "big", signed=True)
    message = f"{session.session_id}/{session.dealt}".encode()
    digest = hmac.new(key, message, hashlib.sha256).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - SEED_BITS)


def close(
    puzzle: Puzzle, verdict: Verdict, solution: dict[str, Any], at: int, answer: dict[str, Any] | None = None
) -> Closing:
    """The end of a puzzle. One that expires does so at its deadline, however late that is noticed."""
    closed = ClosedPuzzle(
        puzzle_id=puzzle.puzzle_id,
        type=puzzle.type,
        verdict=verdict,
        solution=solution,
        opened_at=puzzle.opened_at,
        closed_at=puzzle.deadline if verdict is Verdict.EXPIRED else at,
    )
    return Closing(closed=closed, answer=answer)


def cannot_be_stored(answer: dict[str, Any]) -> str | None:
    """What a JSON parser lets through but no database takes: NUL, half a surrogate pair, NaN; or nesting too deep."""
    for value, depth in _walk(answer):
        if depth > DEEPEST_ANSWER:
            return f"nested deeper than {DEEPEST_ANSWER}"
        if isinstance(value, float) and not math.isfinite(value):
            return "a number that is not finite"
        if isinstance(value, str) and any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value):
            return "text with a NUL or half a surrogate pair"
    return None


def _walk(root: Any) -> Iterator[tuple[Any, int]]:
    """All values and keys with their depth; without recursion, for the depth is what is to be found out."""
    waiting: list[tuple[Any, int]] = [(root, 0)]
    while waiting:
        value, depth = waiting.pop()
        yield value, depth
        if isinstance(value, dict):
            waiting += [(part, depth + 1) for item in value.items() for part in item]
        elif isinstance(value, list):
            waiting += [(part, depth + 1) for part in value]
