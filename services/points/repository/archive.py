"""SQL on the archive: a finished game as one document, made of its rows by the database, and made rows again by it.

A document has the rows of the game's session, seats and ledger, each list by its table's name, and its log as the very
frames. Whoever reads a game finds it in the tables or here, and whoever locks one has it put back into the tables.
"""

from collections.abc import Collection

from sqlalchemy import CTE, Table, delete, select, text

from contracts.ids import SessionId
from services.kit.database import Transaction
from services.kit.models import table_of
from services.points import standing_models as models

_archived = table_of(models.ArchivedSession)

_CLAIM = text(
    """
    SELECT session_id FROM points.finished_games AS game JOIN points.sessions USING (session_id)
    WHERE game.differences = '[]' AND game.finished_at < :before
    ORDER BY game.finished_at LIMIT :limit FOR UPDATE SKIP LOCKED
    """
)


def _rows(table: str, order: str) -> str:
    """All rows of a session in a table, as a list."""
    return (
        f"(SELECT coalesce(json_agg(part ORDER BY {order}), '[]') FROM points.{table} AS part"  # noqa: S608 (our own names)
        " WHERE part.session_id = session.session_id)"
    )


def _deleted(table: str) -> str:
    return f"DELETE FROM points.{table} WHERE session_id = ANY(CAST(:session_ids AS uuid[]))"  # noqa: S608 (our own names)


_MOVE = text(
    f"""
    WITH archived AS (
        INSERT INTO points.archived_sessions (session_id, team_id, created_at, finished_at, replayed_at, document)
        SELECT session_id, session.team_id, session.created_at, game.finished_at, game.replayed_at, json_build_object(
            'sessions', json_build_array(row_to_json(session)),
            'seats', {_rows("seats", "seat")},
            'ledger', {_rows("ledger", "entry_id")},
            'frames', (
                SELECT coalesce(json_agg(convert_from(frame, 'UTF8')::json ORDER BY seq), '[]')
                FROM points.session_events AS event WHERE event.session_id = session.session_id
            )
        )
        FROM points.sessions AS session JOIN points.finished_games AS game USING (session_id)
        WHERE session_id = ANY(CAST(:session_ids AS uuid[]))
    ), events AS ({_deleted("session_events")}), ledger AS ({_deleted("ledger")}), seats AS ({_deleted("seats")}),
    requests AS ({_deleted("tick_requests")}), games AS ({_deleted("finished_games")})
    {_deleted("sessions")}
    """  # noqa: S608 (our own names)
)
_RESTORE = text(
    """
    WITH taken AS (
        DELETE FROM points.archived_sessions WHERE session_id = ANY(CAST(:session_ids AS uuid[])) RETURNING *
    ), sessions AS (
        INSERT INTO points.sessions
        SELECT part.* FROM taken, json_populate_recordset(NULL::points.sessions, document -> 'sessions') AS part
    ), seats AS (
        INSERT INTO points.seats
        SELECT part.* FROM taken, json_populate_recordset(NULL::points.seats, document -> 'seats') AS part
    ), ledger AS (
        INSERT INTO points.ledger OVERRIDING SYSTEM VALUE
        SELECT part.* FROM taken, json_populate_recordset(NULL::points.ledger, document -> 'ledger') AS part
    ), events AS (
        INSERT INTO points.session_events (session_id, seq, type, at, frame)
        SELECT session_id, seq, frame ->> 'type', (frame ->> 'at')::bigint, convert_to(frame::text, 'UTF8')
        FROM taken CROSS JOIN json_array_elements(document -> 'frames') WITH ORDINALITY AS event (frame, seq)
    )
    INSERT INTO points.finished_games (session_id, finished_at, replayed_at, differences)
    SELECT session_id, finished_at, replayed_at, '[]' FROM taken
    """
)
_FRAMES = text(
    """
    SELECT convert_to(frame::text, 'UTF8') FROM points.archived_sessions
    CROSS JOIN json_array_elements(document -> 'frames') WITH ORDINALITY AS event (frame, seq)
    WHERE session_id = :session_id AND seq > :after ORDER BY seq
    """
)


async def archive_games(transaction: Transaction, before: int, limit: int) -> int:
    """Archive games that ended before an instant and whose replay agreed, the earliest first. Returns how many.

    Any number may do so at once: games that somebody holds are left out.
    """
    claimed = await transaction.connection.execute(_CLAIM, {"before": before, "limit": limit})
    session_ids = list(claimed.scalars())
    if session_ids:
        # A statement of its own, after the locks: it sees what others committed before it had them.
        await transaction.connection.execute(_MOVE, {"session_ids": session_ids})
    return len(session_ids)


async def restore(transaction: Transaction, session_ids: Collection[SessionId]) -> None:
    """Put those of the games that are archived back into the tables. They are archived again later."""
    await transaction.connection.execute(_RESTORE, {"session_ids": list(session_ids)})


def archived_rows(table: Table) -> CTE:
    """The rows that the archive has of games, as if they were in the table; with a parameter `session_ids`."""
    found = text(
        f"""
        SELECT {", ".join(f"part.{column.name}" for column in table.columns)}
        FROM points.archived_sessions AS archived,
            json_populate_recordset(NULL::points.{table.name}, document -> '{table.name}') AS part
        WHERE archived.session_id = ANY(CAST(:session_ids AS uuid[]))
        """  # noqa: S608 (our own names)
    )
    return found.columns(*table.columns).cte(f"archived_{table.name}")


async def read_frames(transaction: Transaction, session_id: SessionId, after: int) -> list[bytes]:
    """The frames of an archived game's log after `after`, in order."""
    rows = await transaction.connection.execute(_FRAMES, {"session_id": session_id, "after": after})
    return list(rows.scalars())


async def forget_archived(transaction: Transaction, before: int, limit: int) -> int:
    """Delete archived games that ended before an instant, the earliest first. Returns how many."""
    old = (
        select(_archived.c.session_id)
        .where(_archived.c.finished_at < before)
        .order_by(_archived.c.finished_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte()  # which is executed once
    )
    result = await transaction.connection.execute(delete(_archived).where(_archived.c.session_id.in_(select(old))))
    return result.rowcount
