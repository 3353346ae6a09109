"""SQL on finished games and whether their replays agreed."""

from collections.abc import Mapping, Sequence

from sqlalchemy import bindparam, func, select, text, update

from contracts.ids import SessionId
from services.kit.database import NOW_MS, Transaction
from services.kit.models import table_of
from services.points import standing_models as models

_finished = table_of(models.FinishedGame)
_waiting = _finished.c.replayed_at.is_(None)
_agreeing = text("differences = '[]'")


async def claim_to_replay(transaction: Transaction, limit: int) -> list[SessionId]:
    """Games that were not replayed yet, the earliest first, and locked: whoever asks meanwhile is given others."""
    statement = select(_finished.c.session_id).where(_waiting).order_by(_finished.c.finished_at).limit(limit)
    rows = await transaction.connection.execute(statement.with_for_update(skip_locked=True))
    return [SessionId(session_id) for session_id in rows.scalars()]


async def note_replays(transaction: Transaction, differences: Mapping[SessionId, Sequence[str]]) -> None:
    """The games were replayed now, and this is what differed."""
    statement = (
        update(_finished)
        .where(_finished.c.session_id == bindparam("id"))
        .values(replayed_at=NOW_MS, differences=bindparam("found", type_=_finished.c.differences.type))
    )
    rows = [{"id": session_id, "found": list(found)} for session_id, found in differences.items()]
    await transaction.connection.execute(statement, rows)


async def oldest_to_archive(transaction: Transaction) -> int | None:
    """When the earliest of the games ended that agreed and are not archived yet."""
    statement = select(func.min(_finished.c.finished_at)).where(_agreeing)
    oldest: int | None = (await transaction.connection.execute(statement)).scalar()
    return oldest
