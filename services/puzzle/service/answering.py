"""② Answers: each is judged by itself, and those that come at the same time share a transaction (ADR 14)."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy.exc import IntegrityError

from contracts.ids import PlayerId, PuzzleId, SessionId
from contracts.puzzles import ClosedPuzzle, PuzzleView, Verdict
from services.kit import metrics
from services.kit.database import Database, Transaction
from services.kit.grouping import Alone, Grouped
from services.kit.idempotency import Key, Response, Responses
from services.puzzle import domain, errors, models
from services.puzzle.domain import Closing, Puzzle, PuzzleStatus, Session, Turn
from services.puzzle.repository import puzzles, sessions
from services.puzzle.repository.puzzles import Look
from services.puzzle.service.dealing import keep, next_turn
from services.puzzle.types.base import InvalidAnswer
from services.puzzle.types.registry import Registry

_responses = Responses(models.Idempotency)


class Given(Struct, frozen=True, kw_only=True):
    """An answer as it was given, and the Idempotency-Key of the request, if it had one."""

    puzzle_id: PuzzleId
    player_id: PlayerId
    answer: dict[str, Any]
    key: Key | None = None
    request_hash: bytes = b""


class Answered(Struct, frozen=True, kw_only=True):
    """What an answer led to."""

    puzzle_id: PuzzleId
    verdict: Verdict
    closed: ClosedPuzzle
    next: PuzzleView


class Answers:
    """Takes answers, those that wait for a transaction all in the next."""

    def __init__(self, database: Database, types: Registry) -> None:
        self._database = database
        self._types = types
        self._grouped = Grouped(self._together, self._alone)

    async def submit(self, given: Given) -> bytes:
        """Judge an answer, close the puzzle and deal the next. Returns an `Answered` as JSON, after the commit.

        The answers of one session are judged one at a time, each at its own instant, which never goes back. Raises
        Problem, and then nothing has changed. With a key that was used for the same request, its response is returned.
        """
        return await self._grouped.submit(given)

    async def _together(self, given: Sequence[Given]) -> list[bytes | Exception]:
        async with self._database.transaction() as transaction:
            return await answer_all(transaction, self._types, given, skip_held=True)

    async def _alone(self, given: Given) -> bytes:
        try:
            return await self._once(given)
        except (IntegrityError, Alone):  # another request with the key came between; now its response is there
            return await self._once(given)

    async def _once(self, given: Given) -> bytes:
        async with self._database.transaction() as transaction:
            [result] = await answer_all(transaction, self._types, [given])
        if isinstance(result, Exception):
            raise result
        return result


async def answer_all(
    transaction: Transaction, types: Registry, given: Sequence[Given], *, skip_held: bool = False
) -> list[bytes | Exception]:
    """Judge answers, close their puzzles, deal the next. Returns each one's `Answered` as JSON, or why it is refused.

    With `skip_held`, Alone stands for those whose session somebody else holds now. Raises IntegrityError where another
    request has used a key meanwhile; then nothing may be committed.
    """
    locked = await sessions.lock_by_puzzles(transaction, {one.puzzle_id for one in given}, skip_held=skip_held)
    looks = await puzzles.look(transaction, {one.puzzle_id for one in given})
    earlier = await _responses.find(transaction, {one.key for one in given if one.key is not None})
    group = _Group(types, locked, looks)
    results: list[bytes | Exception] = []
    fresh: dict[Key, Response] = {}
    for one in given:
        before = None if one.key is None else earlier.get(one.key)
        try:
            if before is not None:
                results.append(before.repeated(one.request_hash))
                continue
            response = group.judge(one)
        except Exception as error:  # noqa: BLE001 (it is this answer's result, and no other's)
            results.append(error)
            continue
        results.append(response)
        if one.key is not None:
            fresh[one.key] = earlier[one.key] = Response(one.request_hash, response)
    await keep(transaction, group.turns)
    await _responses.add(transaction, fresh)
    for turn in group.turns:
        if turn.closing is not None:
            metrics.answers.labels(turn.closing.closed.type, turn.closing.closed.verdict).inc()
    return results


class _Group:
    """Locked sessions and the puzzles that are answered, as one answer after the other leaves them."""

    def __init__(self, types: Registry, locked: dict[SessionId, Session], looks: dict[PuzzleId, Look]) -> None:
        self._types = types
        self._sessions = locked
        self._looks = looks
        self.turns: list[Turn] = []

    def judge(self, given: Given) -> bytes:
        """Raises Problem, or Alone, and then nothing has changed."""
        look = self._looks.get(given.puzzle_id)
        if look is None:
            raise errors.puzzle_not_found()
        session = self._sessions.get(look.puzzle.session_id)
        if session is None:
            raise Alone
        if look.puzzle.player_id != given.player_id:
            raise errors.not_your_puzzle()
        at = domain.instant(session, look.now)
        if refusal := domain.may_answer(session, look.puzzle, look.eliminated_at, at):
            raise errors.refused(refusal)
        closing = _judge(self._types, look.puzzle, given.answer, at)
        turn = next_turn(self._types, session, given.player_id, at, closing=closing)
        answered = Answered(
            puzzle_id=given.puzzle_id, verdict=closing.closed.verdict, closed=closing.closed, next=turn.dealt.public
        )
        response = msgspec.json.encode(answered)
        self._sessions[session.session_id] = turn.session
        closed = msgspec.structs.replace(look.puzzle, status=PuzzleStatus(closing.closed.verdict))
        self._looks[given.puzzle_id] = look._replace(puzzle=closed)
        self.turns.append(turn)
        return response


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
