"""All SQL on sessions: reading a game under its lock, and writing back what it recorded."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Row, bindparam, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from contracts.frames import encode_event
from contracts.ids import PlayerId, RoomSeq, SessionId, TeamId
from contracts.puzzles import PuzzleView
from contracts.rooms import EndReason, Status, encode
from contracts.rules import Rules
from services.kit.clock import NOW_MS
from services.kit.database import Transaction
from services.kit.models import table_of
from services.kit.rooms import Publication
from services.points import models
from services.points.domain.game import Game
from services.points.domain.seats import Seat
from services.points.domain.views import public_state

_sessions, _seats, _events = table_of(models.Session), table_of(models.Seat), table_of(models.SessionEvent)
_decode_puzzle = msgspec.json.Decoder(PuzzleView).decode
ROOM_RETRY_MS = 1_000

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


def _session_values(game: Game) -> dict[str, Any]:
    return {
        "status": game.status.value,
        "starts_at": game.starts_at,
        "started_at": game.started_at,
        "ending_at": game.ending_at,
        "finished_at": game.finished_at,
        "survival_ms": game.survival_ms,
        "end_reason": None if game.end_reason is None else game.end_reason.value,
        "due_at": game.due_at,
        "seq": game.seq + len(game.facts),
        "settled_at": game.settled_at,
        "puzzle_version": game.puzzle_version,
        "sent_version": game.sent_version,
    }


def _seat_values(session_id: SessionId, seat: Seat) -> dict[str, Any]:
    return {
        "session_id": session_id,
        "player_id": seat.player_id,
        "seat": seat.seat,
        "name": seat.name,
        "colour": seat.colour,
        "ready": seat.ready,
        "base": seat.base,
        "zero_at": seat.zero_at,
        "eliminated_at": seat.eliminated_at,
        "solved": seat.solved,
        "failed": seat.failed,
        "expired": seat.expired,
        "puzzle": None if seat.puzzle is None else encode(seat.puzzle),
    }


async def create_game(transaction: Transaction, game: Game) -> None:
    """Store a new game with what it recorded."""
    values = {
        **_session_values(game),
        "session_id": game.session_id,
        "team_id": game.team_id,
        "rules": msgspec.to_builtins(game.rules),
        "seed": game.seed,
        "created_at": game.created_at,
    }
    await transaction.connection.execute(insert(_sessions), [values])
    await _write_changes(transaction, game)


async def save_game(transaction: Transaction, game: Game) -> None:
    """Write back a locked game: its row, its seats, and what it recorded, numbered on in the log."""
    statement = update(_sessions).where(_sessions.c.session_id == game.session_id)
    await transaction.connection.execute(statement.values(**_session_values(game)))
    await _write_changes(transaction, game)


async def _write_changes(transaction: Transaction, game: Game) -> None:
    """Seats, log, ledger; and the room is told after the commit, or by the sweeper if that fails."""
    connection = transaction.connection
    if not game.facts and not game.entries:
        return
    if game.seats:
        seat = upsert(_seats)
        changed = {c.name: seat.excluded[c.name] for c in _seats.c if not c.primary_key}
        rows = [_seat_values(game.session_id, s) for s in game.seats]
        await connection.execute(
            seat.on_conflict_do_update(index_elements=["session_id", "player_id"], set_=changed), rows
        )
    if game.entries:
        await connection.execute(insert(table_of(models.LedgerEntry)), [_entry_values(game, e) for e in game.entries])
    if not game.facts:
        return
    frames = [
        encode_event(RoomSeq(game.seq + number), at, fact) for number, (at, fact) in enumerate(game.facts, start=1)
    ]
    rows = [
        {"session_id": game.session_id, "seq": game.seq + number, "type": fact.type, "at": at, "frame": frame}
        for number, ((at, fact), frame) in enumerate(zip(game.facts, frames, strict=True), start=1)
    ]
    await connection.execute(insert(_events), rows)
    first_seq = RoomSeq(game.seq + 1)
    game.seq += len(game.facts)
    untold = upsert(table_of(models.UntoldRoom)).values(
        session_id=game.session_id, seq=game.seq, next_try_at=NOW_MS + ROOM_RETRY_MS
    )
    await connection.execute(
        untold.on_conflict_do_update(index_elements=["session_id"], set_={"seq": untold.excluded.seq})
    )
    transaction.post(Publication(game.session_id, game.epoch, first_seq, encode(public_state(game)), frames))


def _entry_values(game: Game, entry: Any) -> dict[str, Any]:
    return {
        "session_id": game.session_id,
        "key": entry.key,
        "at": entry.at,
        "kind": entry.kind,
        "amount": entry.amount,
        "player_id": entry.player_id,
        "from_player_id": entry.from_player_id,
        "puzzle_id": entry.puzzle_id,
        "reason": None if entry.reason is None else entry.reason.value,
    }


async def read_epoch(transaction: Transaction) -> str:
    """The life of this database's logs."""
    return str((await transaction.connection.execute(select(models.Epoch.epoch))).scalar_one())


async def delete_seat(transaction: Transaction, session_id: SessionId, player_id: PlayerId) -> None:
    """Remove the row of a seat that was given back."""
    where = (_seats.c.session_id == session_id) & (_seats.c.player_id == player_id)
    await transaction.connection.execute(delete(_seats).where(where))
