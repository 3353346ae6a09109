"""Time: starts, eliminations and ends that are due, and operators' ticks. Work grows with what is due."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID, uuid4

import structlog

from contracts.ids import SessionId
from services.kit import metrics
from services.kit.clock import now_ms
from services.kit.database import Database, Transaction
from services.points.repository import due as due_repository
from services.points.repository import games as repository
from services.points.repository import ledger
from services.points.service import games

log = structlog.get_logger()


class Due(NamedTuple):
    """Sessions in which something is due at `now`, the most overdue first."""

    now: int
    session_ids: Sequence[SessionId]


class Position(Protocol):
    """The puzzle service's word: its events with an instant up to `now` have at most this version."""

    @property
    def now(self) -> int: ...

    @property
    def version(self) -> int: ...


async def begin_due(database: Database, limit: int = 500) -> int:
    """Begin the sessions whose countdown is over. Nothing was answered before, so nobody need be asked."""
    async with database.transaction() as transaction:
        starting = await due_repository.due_countdowns(transaction, await now_ms(transaction.connection), limit)
    return await _settle_each(database, [(session_id, starts_at, 0) for session_id, starts_at in starting])


async def find_due(database: Database, limit: int = 500) -> Due:
    """What is due now."""
    async with database.transaction() as transaction:
        now = await now_ms(transaction.connection)
        oldest = await due_repository.oldest_due(transaction)
        metrics.settle_lag.set(0 if oldest is None else max(0, now - oldest) / 1000)
        return Due(now, await due_repository.due_sessions(transaction, now, limit))


async def settle_all(database: Database, due: Due, positions: Mapping[SessionId, Position]) -> int:
    """Settle each of the sessions. Returns how many were.

    A session that the puzzle service has not heard of yet has no answers, so it may be settled up to `due.now`.
    """
    found = [(session_id, positions.get(session_id)) for session_id in due.session_ids]
    return await _settle_each(
        database,
        [(s, due.now, 0) if position is None else (s, position.now, position.version) for s, position in found],
    )


async def _settle_each(database: Database, sessions: Sequence[tuple[SessionId, int, int]]) -> int:
    """Each in a transaction of its own. One that fails does not stop the others; failures are raised at the end."""
    settled = 0
    failures: list[Exception] = []
    for session_id, until, version in sessions:
        try:
            async with database.transaction() as transaction:
                settled += await settle(transaction, session_id, until, version)
        except Exception as error:  # noqa: BLE001 (raised below, after the other sessions had their turn)
            log.error("settle_failed", session_id=str(session_id), error=repr(error))
            failures.append(error)
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(sessions)} sessions could not be settled", failures)
    return settled


async def settle(transaction: Transaction, session_id: SessionId, until: int, puzzle_version: int) -> bool:
    """Let what is due until `until` take effect, if all answers up to then have been applied.

    The puzzle service vouches that all its events with an instant up to `until` have at most `puzzle_version`. Where
    points has not applied that one yet, nothing is settled and False is returned: the next round tries again. A
    session that somebody holds at the moment is left to the next round too.
    """
    game = (await repository.lock_games(transaction, [session_id], skip_held=True)).get(session_id)
    if game is None or game.puzzle_version < puzzle_version:
        return False
    game.advance(until)
    for run_id, ticks, _ in await ledger.take_requests(transaction, session_id):
        game.tick(until, ticks, run_id)
    await games.keep(transaction, game)
    metrics.sessions_settled.inc()
    return True


async def request_ticks(transaction: Transaction, session_id: SessionId | None, ticks: int) -> tuple[UUID, int]:
    """Note extra ticks for the next settling; durable, so that they are taken once whatever crashes.

    Returns the run's id and the number of active sessions it is for. Raises Problem 404 for an unknown session.
    """
    if session_id is not None:
        await games.get(transaction, session_id)
    run_id = uuid4()
    if ticks == 0:
        return run_id, await ledger.count_active(transaction, session_id)
    return run_id, await ledger.request_ticks(transaction, run_id, session_id, ticks)
