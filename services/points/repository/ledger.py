"""SQL on the ledger and on operators' ticks."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Row, Select, Uuid, any_, delete, func, insert, literal, select

from contracts.ids import PlayerId, SessionId
from contracts.rooms import Status, VoidReason
from services.kit.database import NOW_MS, Transaction
from services.kit.models import table_of
from services.points import models
from services.points.domain.seats import LedgerEntry

_ledger, _requests, _sessions, _seats = (
    table_of(models.LedgerEntry),
    table_of(models.TickRequest),
    table_of(models.Session),
    table_of(models.Seat),
)


async def read_entries(
    transaction: Transaction, session_id: SessionId, player_id: PlayerId | None, after: int, limit: int
) -> Sequence[Row[Any]]:
    """A page of the session's entries, or of one player's, in the order in which they were made.

    Each comes with `previous_at`, the instant of the entry before it of the same player.
    """
    page = select(_ledger).where(_ledger.c.session_id == session_id, _ledger.c.entry_id > after)
    if player_id is not None:
        page = page.where(_ledger.c.player_id == player_id)
    entries = page.order_by(_ledger.c.entry_id).limit(limit).subquery()
    previous = _last_entry(entries.c.session_id, entries.c.player_id).where(_ledger.c.entry_id < entries.c.entry_id)
    statement = select(entries, previous.scalar_subquery().label("previous_at")).order_by(entries.c.entry_id)
    return (await transaction.connection.execute(statement)).all()


async def read_all(transaction: Transaction, session_id: SessionId) -> list[LedgerEntry]:
    """All entries of a session, as the rules made them and in that order."""
    statement = select(_ledger).where(_ledger.c.session_id == session_id).order_by(_ledger.c.entry_id)
    return [
        LedgerEntry(
            key=row.key,
            at=row.at,
            kind=row.kind,
            amount=row.amount,
            player_id=row.player_id,
            from_player_id=row.from_player_id,
            puzzle_id=row.puzzle_id,
            reason=None if row.reason is None else VoidReason(row.reason),
            base=row.base,
        )
        for row in await transaction.connection.execute(statement)
    ]


async def last_entries(transaction: Transaction, session_id: SessionId) -> dict[PlayerId, int]:
    """The instants of all players' last entries."""
    last = _last_entry(_seats.c.session_id, _seats.c.player_id).scalar_subquery().label("at")
    statement = select(_seats.c.player_id, last).where(_seats.c.session_id == session_id)
    rows = await transaction.connection.execute(statement)
    return {PlayerId(row.player_id): row.at for row in rows if row.at is not None}


def _last_entry(session_id: ColumnElement[UUID], player_id: ColumnElement[UUID]) -> Select[tuple[int]]:
    """The instant of a player's last entry: a walk back along the session's entries, up to the first of the player."""
    same = (_ledger.c.session_id == session_id) & (_ledger.c.player_id == player_id)
    return select(_ledger.c.at).where(same).order_by(_ledger.c.entry_id.desc()).limit(1)


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


async def take_requests(
    transaction: Transaction, session_ids: Collection[SessionId]
) -> dict[SessionId, list[tuple[UUID, int]]]:
    """Remove the requested ticks of sessions and return them as (run, ticks), oldest first."""
    statement = delete(_requests).where(_requests.c.session_id == any_(literal(list(session_ids), ARRAY(Uuid))))
    rows = (await transaction.connection.execute(statement.returning(*_requests.c))).all()
    taken: dict[SessionId, list[tuple[UUID, int]]] = {}
    for row in sorted(rows, key=lambda row: (row.requested_at, row.run_id)):
        taken.setdefault(SessionId(row.session_id), []).append((row.run_id, row.ticks))
    return taken
