"""What players ask for: a puzzle, a look at it, the verdict on an answer."""

import json
from typing import Any

from msgspec import Struct

from contracts.ids import PlayerId, PuzzleId, SessionId, TeamId
from contracts.puzzles import ClosedPuzzle, PuzzleView, Verdict
from services.kit import metrics
from services.kit.clock import now_ms
from services.kit.database import Transaction
from services.puzzle import domain, errors
from services.puzzle.domain import Closing, Puzzle
from services.puzzle.repository import puzzles, sessions
from services.puzzle.service.dealing import turn
from services.puzzle.types.base import InvalidAnswer
from services.puzzle.types.registry import Registry


class Dealt(Struct, frozen=True):
    """A player's open puzzle."""

    session_id: SessionId
    player_id: PlayerId
    puzzle: PuzzleView


class Answered(Struct, frozen=True):
    """What an answer led to."""

    closed: ClosedPuzzle
    next: PuzzleView


async def create(transaction: Transaction, types: Registry, player_id: PlayerId, type_name: str | None) -> Dealt:
    """Deal a puzzle to a player who has none, or whose time for it is up; of the given type, or of a random one.

    The choice is among the session's types. Raises Problem.
    """
    session = await sessions.lock_by_player(transaction, player_id)
    if session is None:
        raise errors.player_not_in_game()
    if refusal := domain.may_play(session, await sessions.eliminated_at(transaction, session.session_id, player_id)):
        raise errors.refused(refusal)
    if type_name is not None and type_name not in session.puzzle_types:
        raise errors.unknown_puzzle_type(session.puzzle_types)
    at = domain.instant(session, await now_ms(transaction.connection))
    current = await puzzles.open_puzzle(transaction, session.session_id, player_id)
    closing = None
    if current is not None:
        if not domain.is_over(current, at):
            raise errors.refused(domain.Refusal.PUZZLE_OPEN)
        closing = expiry(types, current, at)
    result = await turn(transaction, types, session, player_id, at, closing=closing, type_name=type_name)
    return Dealt(session.session_id, player_id, result.dealt.public)


async def current(
    transaction: Transaction, player_id: PlayerId, team_id: TeamId, asking: PlayerId | None = None
) -> Dealt:
    """The open puzzle of a player of this team, also for another player `asking`, who has to be in the same game.

    Raises Problem.
    """
    newest = await sessions.newest_session(transaction, player_id)
    if newest is None:
        raise errors.no_open_puzzle()
    session_id, team = newest
    if team != team_id:
        raise errors.not_your_team()
    puzzle = await puzzles.open_puzzle(transaction, session_id, player_id)
    if puzzle is None:
        raise errors.no_open_puzzle()
    if asking is not None and not await sessions.has_player(transaction, session_id, asking):
        raise errors.not_your_game()
    return Dealt(session_id, player_id, puzzle.public)


async def answer(
    transaction: Transaction, types: Registry, puzzle_id: PuzzleId, player_id: PlayerId, given: dict[str, Any]
) -> Answered:
    """Judge an answer, close the puzzle and deal the next.

    The answers of one session are judged one at a time, each at its own instant, which never goes back. Raises
    Problem, and then nothing has changed.
    """
    session = await sessions.lock_by_puzzle(transaction, puzzle_id)
    if session is None:
        raise errors.puzzle_not_found()
    puzzle, eliminated_at, now = await puzzles.look(transaction, puzzle_id)
    if puzzle.player_id != player_id:
        raise errors.not_your_puzzle()
    at = domain.instant(session, now)
    if refusal := domain.may_answer(session, puzzle, eliminated_at, at):
        raise errors.refused(refusal)
    closing = _judge(types, puzzle, given, at)
    result = await turn(transaction, types, session, player_id, at, closing=closing)
    metrics.answers.labels(puzzle.type, closing.closed.verdict).inc()
    return Answered(closing.closed, result.dealt.public)


def _judge(types: Registry, puzzle: Puzzle, given: dict[str, Any], at: int) -> Closing:
    kind = types.get(puzzle.type)
    if reason := domain.cannot_be_stored(given):
        raise errors.invalid_answer(reason)
    size = len(json.dumps(given, separators=(",", ":"), ensure_ascii=False).encode())
    if size > kind.max_answer_bytes:
        raise errors.invalid_answer(f"{size} bytes, where {kind.max_answer_bytes} are allowed")
    try:
        solved = kind.check(puzzle.view, puzzle.hidden, given, elapsed_ms=at - puzzle.opened_at)
    except InvalidAnswer as error:
        raise errors.invalid_answer(str(error)) from error
    verdict = Verdict.SOLVED if solved else Verdict.FAILED
    return domain.close(puzzle, verdict, kind.reveal(puzzle.view, puzzle.hidden), at, given)


def expiry(types: Registry, puzzle: Puzzle, at: int) -> Closing:
    """The end of a puzzle whose time is up."""
    solution = types.get(puzzle.type).reveal(puzzle.view, puzzle.hidden)
    return domain.close(puzzle, Verdict.EXPIRED, solution, at)
