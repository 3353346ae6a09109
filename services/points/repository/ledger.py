"""SQL on the ledger and on operators' ticks."""

from collections.abc import Callable, Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, FromClause, Row, Select, Uuid, any_, delete, func, insert, literal, select

from contracts.ids import PlayerId, SessionId
from contracts.rooms import Status, VoidReason
from services.kit.database import NOW_MS, Transaction
from services.kit.models import table_of
from services.points import models
from services.points.domain.seats import LedgerEntry
from services.points.repository.archive import archived_rows

_ledger, _requests, _sessions, _seats = (
    table_of(models.LedgerEntry),
    table_of(models.TickRequest),
    table_of(models.Session),
    table_of(models.Seat),
)
_archived = archived_rows(_ledger), archived_rows(_seats)


async def read_entries(
    transaction: Transaction, session_id: SessionId, player_id: PlayerId | None, after: int, limit: int
) -> Sequence[Row[Any]]:
    """A page of the session's entries, or of one player's, in the order in which they were made.

    Each comes with `previous_at`, the instant of the entry before it of the same player.
    """

    def query(ledger: FromClause, _: FromClause) -> Select[Any]:
        page = select(ledger).where(ledger.c.session_id == session_id, ledger.c.entry_id > after)
        if player_id is not None:
            page = page.where(ledger.c.player_id == player_id)
        entries = page.order_by(ledger.c.entry_id).limit(limit).subquery()
        last = _last_entry(ledger, entries.c.session_id, entries.c.player_id)
        previous = last.where(ledger.c.entry_id < entries.c.entry_id).scalar_subquery().label("previous_at")
        return select(entries, previous).order_by(entries.c.entry_id)

    return await _find(transaction, session_id, query)


async def read_all(transaction: Transaction, session_id: SessionId) -> list[LedgerEntry]:
    """All entries of a session, as the rules made them and in that order."""

    def query(ledger: FromClause, _: FromClause) -> Select[Any]:
        return select(ledger).where(ledger.c.session_id == session_id).order_by(ledger.c.entry_id)

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
        for row in await _find(transaction, session_id, query)
    ]


async def last_entries(transaction: Transaction, session_id: SessionId) -> dict[PlayerId, int]:
    """The instants of all players' last entries."""

    def query(ledger: FromClause, seats: FromClause) -> Select[Any]:
        last = _last_entry(ledger, seats.c.session_id, seats.c.player_id).scalar_subquery().label("at")
        return select(seats.c.player_id, last).where(seats.c.session_id == session_id)

    rows = await _find(transaction, session_id, query)
    return {PlayerId(row.player_id): row.at for row in rows if row.at is not None}


async def _find(
    transaction: Transaction, session_id: SessionId, query: Callable[[FromClause, FromClause], Select[Any]]
) -> Sequence[Row[Any]]:
    """What a query of ledger and seats finds of a session in the tables, or else in the archive."""
    parameters = {"session_ids": [session_id]}
    rows: Sequence[Row[Any]] = (await transaction.connection.execute(query(_ledger, _seats), parameters)).all()
    if not rows:
        rows = (await transaction.connection.execute(query(*_archived), parameters)).all()
    return rows


def _last_entry(
    ledger: FromClause, session_id: ColumnElement[UUID], player_id: ColumnElement[UUID]
) -> Select[tuple[int]]:
    """The instant of a player's last entry: a walk back along the session's entries, up to the first of the player."""
    same = (ledger.c.session_id == session_id) & (ledger.c.player_id == player_id)
    return select(ledger.c.at).where(same).order_by(ledger.c.entry_id.desc()).limit(1)


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
