"""SQL that writes a game back: all it changed and recorded in one statement, and so one round trip."""

from typing import Any

import msgspec
from sqlalchemy import insert, text

from contracts.frames import encode_event
from contracts.ids import RoomSeq
from contracts.rooms import encode
from services.kit.database import Transaction
from services.kit.models import table_of
from services.kit.rooms import Publication
from services.points import models
from services.points.domain.game import Game
from services.points.domain.seats import LedgerEntry, Seat
from services.points.domain.views import public_state

ROOM_RETRY_MS = 1_000

_SEATS = {
    "player_id": "uuid",
    "seat": "smallint",
    "name": "text",
    "colour": "text",
    "ready": "boolean",
    "base": "bigint",
    "zero_at": "bigint",
    "eliminated_at": "bigint",
    "solved": "bigint",
    "failed": "bigint",
    "expired": "bigint",
    "puzzle": "bytea",
}
_EVENTS = {"seq": "bigint", "type": "text", "at": "bigint", "frame": "bytea"}
_LEDGER = {
    "key": "text",
    "at": "bigint",
    "kind": "text",
    "amount": "bigint",
    "base": "bigint",
    "player_id": "uuid",
    "from_player_id": "uuid",
    "puzzle_id": "uuid",
    "reason": "text",
}
_SESSION = (
    "status",
    "starts_at",
    "started_at",
    "ending_at",
    "finished_at",
    "survival_ms",
    "end_reason",
    "due_at",
    "seq",
    "settled_at",
    "puzzle_version",
    "sent_version",
)


def _insert(table: str, columns: dict[str, str]) -> str:
    """INSERT of many rows, from one array a column."""
    arrays = ", ".join(f"CAST(:{table}_{name} AS {kind}[])" for name, kind in columns.items())
    return f"INSERT INTO points.{table} (session_id, {', '.join(columns)}) SELECT :session_id, * FROM unnest({arrays})"  # noqa: S608 (our own names)


def _excluded(columns: dict[str, str]) -> str:
    return ", ".join(f"{name} = excluded.{name}" for name in columns)


_SAVE = text(
    f"""
    WITH session AS (
        UPDATE points.sessions SET {", ".join(f"{name} = :{name}" for name in _SESSION)} WHERE session_id = :session_id
    ), seats AS (
        {_insert("seats", _SEATS)} ON CONFLICT (session_id, player_id) DO UPDATE SET {_excluded(_SEATS)}
    ), events AS (
        {_insert("session_events", _EVENTS)}
    ), ledger AS (
        {_insert("ledger", _LEDGER)}
    )
    INSERT INTO points.untold_rooms (session_id, seq, next_try_at)
    SELECT :session_id, :seq, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint + {ROOM_RETRY_MS}
    WHERE CAST(:told AS boolean)
    ON CONFLICT (session_id) DO UPDATE SET seq = excluded.seq
    """  # noqa: S608 (our own names)
)


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
    await transaction.connection.execute(insert(table_of(models.Session)), [values])
    await save_game(transaction, game)


async def save_game(transaction: Transaction, game: Game) -> None:
    """Write back a locked game: its row, the seats that changed, and what it recorded, numbered on in the log.

    The room is told after the commit, or by the sweeper if that fails.
    """
    before = {seat.player_id: seat for seat in game.seats_before}
    changed = [seat for seat in game.seats if seat != before.get(seat.player_id)]
    numbered = list(enumerate(game.facts, start=game.seq + 1))
    frames = [encode_event(RoomSeq(seq), at, fact) for seq, (at, fact) in numbered]
    events = [
        {"seq": seq, "type": fact.type, "at": at, "frame": frame}
        for (seq, (at, fact)), frame in zip(numbered, frames, strict=True)
    ]
    parameters = {
        **_session_values(game),
        "session_id": game.session_id,
        "told": bool(frames),
        **_arrays("seats", _SEATS, [_seat_values(seat) for seat in changed]),
        **_arrays("session_events", _EVENTS, events),
        **_arrays("ledger", _LEDGER, [_entry_values(entry) for entry in game.entries]),
    }
    await transaction.connection.execute(_SAVE, parameters)
    if frames:
        first_seq = RoomSeq(game.seq + 1)
        game.seq += len(frames)
        transaction.post(Publication(game.session_id, game.epoch, first_seq, encode(public_state(game)), frames))


def _arrays(table: str, columns: dict[str, str], rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {f"{table}_{name}": [row[name] for row in rows] for name in columns}


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


def _seat_values(seat: Seat) -> dict[str, Any]:
    return {
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


def _entry_values(entry: LedgerEntry) -> dict[str, Any]:
    return {
        "key": entry.key,
        "at": entry.at,
        "kind": entry.kind,
        "amount": entry.amount,
        "base": entry.base,
        "player_id": entry.player_id,
        "from_player_id": entry.from_player_id,
        "puzzle_id": entry.puzzle_id,
        "reason": None if entry.reason is None else entry.reason.value,
    }
