"""SQL on sessions that are over for long."""

from sqlalchemy import delete, select

from services.kit.database import Transaction
from services.kit.models import table_of
from services.puzzle import models
from services.puzzle.repository.sessions import players, puzzles, sessions

_outbox = table_of(models.Outbox)


async def forget_finished(transaction: Transaction, before: int, limit: int) -> int:
    """Delete sessions that ended before an instant, with their players and puzzles. Returns how many.

    One of which points has not confirmed everything stays, and one that somebody holds.
    """
    unconfirmed = select(_outbox.c.event_id).where(_outbox.c.session_id == sessions.c.session_id)
    old = (
        select(sessions.c.session_id)
        .where(sessions.c.finished_at < before, ~unconfirmed.exists())
        .order_by(sessions.c.finished_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    session_ids = list((await transaction.connection.execute(old)).scalars())
    if session_ids:
        for table in (puzzles, players, sessions):
            await transaction.connection.execute(delete(table).where(table.c.session_id.in_(session_ids)))
    return len(session_ids)
