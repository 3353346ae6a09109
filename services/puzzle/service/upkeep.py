"""What the worker has done here: close what is overdue, send again, forget, and say how far a session has come."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import structlog

from contracts.ids import SessionId
from services.kit import idempotency, metrics
from services.kit.clock import now_ms
from services.kit.database import Database, Transaction, is_away
from services.kit.pruning import in_batches
from services.puzzle import domain, models
from services.puzzle.domain import Puzzle, Session, Status, Turn
from services.puzzle.repository import finished, puzzles, sessions
from services.puzzle.service.dealing import keep, next_turn, outbox
from services.puzzle.service.failures import dead_letters
from services.puzzle.service.puzzles import expiry
from services.puzzle.types.registry import Registry, installed

log = structlog.get_logger()

SESSIONS_AT_ONCE = 100
EXPIRED_AT_ONCE = 50
"""Sessions in which puzzles expire in one transaction: an answer to one of them waits for it."""


class Position(NamedTuple):
    """All events of a session with an instant up to and including `now` have a version up to `version`."""

    now: int
    version: int


def load_types() -> Registry:
    """The installed puzzle types, for `expire_due`. Raises BadPuzzleTypeError where one of them cannot be used."""
    return installed()


async def expire_due(database: Database, types: Registry, limit: int = 200) -> int:
    """Close the puzzles whose time is up and deal the next ones, in up to `limit` sessions, many in one transaction.

    Any number may run at once: a session that is held at the moment is left for the next time. Returns how many
    puzzles were closed. One session's failure does not stop the others; they are raised together at the end.
    """
    async with database.transaction() as transaction:
        due = await puzzles.due_sessions(transaction, limit)
    closed = 0
    failures: dict[SessionId, Exception] = {}
    for start in range(0, len(due), EXPIRED_AT_ONCE):
        batch = due[start : start + EXPIRED_AT_ONCE]
        try:
            closed += await _expire(database, types, batch, failures)
        except Exception as error:
            if is_away(error):
                raise
            for session_id in batch:  # so that the one that fails spoils no other
                try:
                    closed += await _expire(database, types, [session_id], failures)
                except Exception as its_own:
                    if is_away(its_own):
                        raise
                    failures[session_id] = its_own
    metrics.puzzles_expired.inc(closed)
    for session_id, failure in failures.items():
        log.error("expire_failed", session_id=str(session_id), error=repr(failure))
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(due)} sessions could not be handled", list(failures.values()))
    return closed


async def _expire(
    database: Database, types: Registry, session_ids: Collection[SessionId], failures: dict[SessionId, Exception]
) -> int:
    async with database.transaction() as transaction:
        locked = await sessions.lock_unless_held(transaction, session_ids)
        now = await now_ms(transaction.connection)
        instants = {s.session_id: domain.instant(s, now) for s in locked.values() if s.status is Status.ACTIVE}
        overdue: dict[SessionId, list[Puzzle]] = {session_id: [] for session_id in instants}
        for puzzle in await puzzles.due_puzzles(transaction, overdue, max(instants.values(), default=now)):
            if domain.is_over(puzzle, instants[puzzle.session_id]):
                overdue[puzzle.session_id].append(puzzle)
        turns: list[Turn] = []
        for session_id, at in instants.items():
            try:
                turns += _turns(types, locked[session_id], overdue[session_id], at)
            except Exception as error:  # noqa: BLE001 (it is this session's alone, of which nothing is kept)
                failures[session_id] = error
        await keep(transaction, turns)
    return len(turns)


def _turns(types: Registry, session: Session, overdue: Sequence[Puzzle], at: int) -> list[Turn]:
    turns = []
    for puzzle in overdue:
        turns.append(turn := next_turn(types, session, puzzle.player_id, at, closing=expiry(types, puzzle, at)))
        session = turn.session
    return turns


async def positions(transaction: Transaction, session_ids: Collection[SessionId]) -> dict[SessionId, Position]:
    """How far each of the sessions has come. One that is not known here yet is not in the result.

    It holds whatever the clock does: the session's last instant is set to the time of the question, and every event
    from then on is at that instant or later, so after `now`.
    """
    return {
        session_id: Position(last_at - 1, version)
        for session_id, last_at, version in await sessions.fix_positions(transaction, session_ids)
    }


async def sweep(database: Database, limit: int = 500) -> int:
    """Send again what points has not confirmed in time. Returns how many events."""
    return await outbox.sweep(database, limit)


async def forget_finished(database: Database, older_than_ms: int) -> int:
    """Delete sessions whose end was heard of so long ago: points has what came of them. Returns how many."""

    async def forget(transaction: Transaction, limit: int) -> int:
        return await finished.forget_finished(transaction, await now_ms(transaction.connection) - older_than_ms, limit)

    forgotten = await in_batches(database, forget, SESSIONS_AT_ONCE)
    metrics.forgotten.labels("puzzles").inc(forgotten)
    return forgotten


async def forget_old(database: Database) -> int:
    """Delete what was remembered long enough: responses by their key, failures that were overcome. Returns how many."""

    async def keys(transaction: Transaction, limit: int) -> int:
        return await idempotency.forget_old(transaction, models.Idempotency, limit)

    async def failures(transaction: Transaction, limit: int) -> int:
        before = await now_ms(transaction.connection) - idempotency.KEPT_MS
        return await dead_letters.forget_overcome(transaction, before, limit)

    return await in_batches(database, keys) + await in_batches(database, failures)
