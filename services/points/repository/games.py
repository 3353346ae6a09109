"""SQL that reads games, locked or not."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Row, bindparam, delete, select

from contracts.ids import PlayerId, SessionId, TeamId
from contracts.puzzles import PuzzleView
from contracts.rooms import EndReason, Status
from contracts.rules import Rules
from services.kit.database import Transaction
from services.kit.models import table_of
from services.points import models
from services.points.domain.game import Game
from services.points.domain.seats import Seat

_sessions, _seats = table_of(models.Session), table_of(models.Seat)
_decode_puzzle = msgspec.json.Decoder(PuzzleView).decode

_all = select(models.Session, models.Team.name, select(models.Epoch.epoch).scalar_subquery().label("epoch")).join(
    models.Team, models.Team.team_id == models.Session.team_id
)
_find = _all.where(models.Session.session_id == bindparam("session_id"))
_find_locked = _find.with_for_update(of=models.Session)
_find_unheld = _find.with_for_update(of=models.Session, skip_locked=True)
_find_seats = select(models.Seat).where(models.Seat.session_id == bindparam("session_id")).order_by(models.Seat.seat)


async def read_game(transaction: Transaction, session_id: SessionId) -> Game | None:
    """The game as it is, without locking it."""
    return await _game(transaction, _find, session_id)


async def lock_game(transaction: Transaction, session_id: SessionId) -> Game | None:
    """The game, locked until the end of the transaction."""
    return await _game(transaction, _find_locked, session_id)


async def lock_game_unless_held(transaction: Transaction, session_id: SessionId) -> Game | None:
    """The game, locked; None also where somebody else holds it at the moment."""
    return await _game(transaction, _find_unheld, session_id)


async def read_active(transaction: Transaction, session_ids: Sequence[SessionId]) -> list[Game]:
    """Those of the sessions that are being played, without locking them."""
    active = _all.where(_sessions.c.session_id.in_(session_ids), _sessions.c.status == Status.ACTIVE.value)
    rows = (await transaction.connection.execute(active)).all()
    seats: dict[UUID, list[Row[Any]]] = {row.session_id: [] for row in rows}
    found = select(models.Seat).where(_seats.c.session_id.in_(seats)).order_by(_seats.c.seat)
    for seat in await transaction.connection.execute(found):
        seats[seat.session_id].append(seat)
    return [_to_game(row, seats[row.session_id]) for row in rows]


async def _game(transaction: Transaction, statement: Any, session_id: SessionId) -> Game | None:
    parameters = {"session_id": session_id}
    row = (await transaction.connection.execute(statement, parameters)).first()
    if row is None:
        return None
    return _to_game(row, (await transaction.connection.execute(_find_seats, parameters)).all())


def _to_game(row: Row[Any], seats: Sequence[Row[Any]]) -> Game:
    return Game(
        session_id=SessionId(row.session_id),
        team_id=TeamId(row.team_id),
        team_name=row.name,
        rules=msgspec.convert(row.rules, Rules),
        created_at=row.created_at,
        seed=row.seed,
        status=Status(row.status),
        starts_at=row.starts_at,
        started_at=row.started_at,
        ending_at=row.ending_at,
        finished_at=row.finished_at,
        survival_ms=row.survival_ms,
        end_reason=None if row.end_reason is None else EndReason(row.end_reason),
        seq=row.seq,
        settled_at=row.settled_at,
        puzzle_version=row.puzzle_version,
        sent_version=row.sent_version,
        epoch=row.epoch,
        seats=[_seat(seat) for seat in seats],
        seats_before=[_seat(seat) for seat in seats],
    )


def _seat(row: Row[Any]) -> Seat:
    return Seat(
        player_id=PlayerId(row.player_id),
        seat=row.seat,
        name=row.name,
        colour=row.colour,
        ready=row.ready,
        base=row.base,
        zero_at=row.zero_at,
        eliminated_at=row.eliminated_at,
        solved=row.solved,
        failed=row.failed,
        expired=row.expired,
        puzzle=None if row.puzzle is None else _decode_puzzle(row.puzzle),
    )


async def read_epoch(transaction: Transaction) -> str:
    """The life of this database's logs."""
    return str((await transaction.connection.execute(select(models.Epoch.epoch))).scalar_one())


async def delete_seat(transaction: Transaction, session_id: SessionId, player_id: PlayerId) -> None:
    """Remove the row of a seat that was given back."""
    where = (_seats.c.session_id == session_id) & (_seats.c.player_id == player_id)
    await transaction.connection.execute(delete(_seats).where(where))
