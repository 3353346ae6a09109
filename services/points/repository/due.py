"""SQL on what time alone has to change."""

from collections.abc import Sequence

from sqlalchemy import func, select

from contracts.ids import SessionId
from contracts.rooms import Status
from services.kit.database import Transaction
from services.kit.models import table_of
from services.points import models

_sessions = table_of(models.Session)


async def due_sessions(transaction: Transaction, now: int, limit: int) -> Sequence[SessionId]:
    """Sessions in which time or an operator has something to change, the most overdue first."""
    due = (
        select(_sessions.c.session_id)
        .where(_sessions.c.due_at.is_not(None), _sessions.c.due_at <= now)
        .order_by(_sessions.c.due_at)
        .limit(limit)
    )
    asked = select(models.TickRequest.session_id).distinct().limit(limit)
    found = [*(await transaction.connection.execute(due)).scalars()]
    found += (await transaction.connection.execute(asked)).scalars()
    return [SessionId(session_id) for session_id in dict.fromkeys(found)]


async def oldest_due(transaction: Transaction) -> int | None:
    """The earliest instant at which something is due, in the past or to come."""
    due = select(func.min(_sessions.c.due_at)).where(_sessions.c.due_at.is_not(None))
    oldest: int | None = (await transaction.connection.execute(due)).scalar()
    return oldest


async def old_lobbies(transaction: Transaction, created_before: int, limit: int) -> Sequence[SessionId]:
    """Lobbies made before an instant."""
    statement = (
        select(_sessions.c.session_id)
        .where(_sessions.c.status == Status.LOBBY.value, _sessions.c.created_at < created_before)
        .limit(limit)
    )
    return [SessionId(found) for found in (await transaction.connection.execute(statement)).scalars()]


async def due_countdowns(transaction: Transaction, now: int, limit: int) -> list[tuple[SessionId, int]]:
    """Sessions whose countdown is over, with the instant at which it was."""
    statement = (
        select(_sessions.c.session_id, _sessions.c.due_at)
        .where(_sessions.c.status == Status.COUNTDOWN.value, _sessions.c.due_at <= now)
        .order_by(_sessions.c.due_at)
        .limit(limit)
    )
    rows = await transaction.connection.execute(statement)
    return [(SessionId(row.session_id), row.due_at) for row in rows]
