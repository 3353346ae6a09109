"""SQL on the log that clients see, and on the rooms that have not been told of all of it."""

from collections.abc import Mapping

from sqlalchemy import select, text, update

from contracts.ids import RoomSeq, SessionId
from services.kit.clock import now_ms
from services.kit.database import Transaction
from services.kit.models import table_of
from services.kit.rooms import EVENTS_KEPT, Publication
from services.points import models
from services.points.repository import archive
from services.points.repository.games import read_game
from services.points.repository.saving import ROOM_RETRY_MS, publication

_events = table_of(models.SessionEvent)


async def read_frames(transaction: Transaction, session_id: SessionId, after: int = 0) -> list[bytes]:
    """The frames of the log after `after`, in order."""
    statement = select(_events.c.frame).where(_events.c.session_id == session_id, _events.c.seq > after)
    frames = list((await transaction.connection.execute(statement.order_by(_events.c.seq))).scalars())
    return frames or await archive.read_frames(transaction, session_id, after)


async def read_range(transaction: Transaction, session_id: SessionId) -> Publication | None:
    """The newest part of a room, to be told as a rebuild. To be read in a snapshot transaction."""
    game = await read_game(transaction, session_id)
    if game is None or game.seq == 0:
        return None
    first = max(0, game.seq - EVENTS_KEPT)
    frames = await read_frames(transaction, session_id, first)
    return publication(game, RoomSeq(first + 1), frames, rebuild=True)


# What somebody has locked is just being put off to a later event.
_FORGET = text(
    """
    DELETE FROM points.untold_rooms WHERE session_id IN (
        SELECT untold.session_id
        FROM points.untold_rooms AS untold
        JOIN unnest(CAST(:session_ids AS uuid[]), CAST(:told AS bigint[])) AS told (session_id, seq)
            ON untold.session_id = told.session_id AND untold.seq <= told.seq
        FOR UPDATE OF untold SKIP LOCKED
    )
    """
)


async def forget_told(transaction: Transaction, told: Mapping[SessionId, RoomSeq]) -> None:
    """The rooms have been told of everything up to these positions."""
    await transaction.connection.execute(_FORGET, {"session_ids": list(told), "told": list(told.values())})


async def postpone_untold(transaction: Transaction, limit: int) -> list[SessionId]:
    """Rooms that should have been told by now. They come up again after a while unless they are forgotten."""
    table = table_of(models.UntoldRoom)
    now = await now_ms(transaction.connection)
    due = (
        select(table.c.session_id)
        .where(table.c.next_try_at <= now)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte()  # which is executed once
    )
    statement = update(table).where(table.c.session_id.in_(select(due))).values(next_try_at=now + 2 * ROOM_RETRY_MS)
    rows = await transaction.connection.execute(statement.returning(table.c.session_id))
    return [SessionId(session_id) for session_id in rows.scalars()]
