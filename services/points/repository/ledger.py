"""SQL on the ledger and on operators' ticks."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, insert, literal, select

from contracts.ids import SessionId
from contracts.rooms import Status
from services.kit.database import NOW_MS, Transaction
from services.kit.models import table_of
from services.points import models

_ledger, _requests, _sessions = (
    table_of(models.LedgerEntry),
    table_of(models.TickRequest),
    table_of(models.Session),
)


async def read_entries(transaction: Transaction, session_id: SessionId, after: int, limit: int) -> Sequence[Row[Any]]:
    """A page of the session's entries, in the order in which they were made."""
    statement = (
        select(_ledger)
        .where(_ledger.c.session_id == session_id, _ledger.c.entry_id > after)
        .order_by(_ledger.c.entry_id)
        .limit(limit)
    )
    return (await transaction.connection.execute(statement)).all()


async def request_ticks(transaction: Transaction, run_id: UUID, session_id: SessionId | None, ticks: int) -> int:
    """Note extra ticks for all active sessions, or for one. Returns for how many."""
    active = select(literal(run_id), _sessions.c.session_id, literal(ticks), NOW_MS).where(
        _sessions.c.status == Status.ACTIVE.value
    )
    if session_id is not None:
        active = active.where(_sessions.c.session_id == session_id)
    columns = ["run_id", "session_id", "ticks", "requested_at"]
    statement = insert(_requests).from_select(columns, active).returning(_requests.c.session_id)
    return len((await transaction.connection.execute(statement)).all())


async def count_active(transaction: Transaction, session_id: SessionId | None) -> int:
    """How many sessions are active; with a session's id, whether that one is."""
    statement = select(func.count()).select_from(_sessions).where(_sessions.c.status == Status.ACTIVE.value)
    if session_id is not None:
        statement = statement.where(_sessions.c.session_id == session_id)
    return int((await transaction.connection.execute(statement)).scalar_one())


async def take_requests(transaction: Transaction, session_id: SessionId) -> list[tuple[UUID, int, int]]:
    """Remove the session's requested ticks and return them as (run, ticks, requested at), oldest first."""
    statement = (
        delete(_requests)
        .where(_requests.c.session_id == session_id)
        .returning(_requests.c.run_id, _requests.c.ticks, _requests.c.requested_at)
    )
    rows = (await transaction.connection.execute(statement)).all()
    return sorted(((row.run_id, row.ticks, row.requested_at) for row in rows), key=lambda r: (r[2], r[0]))
