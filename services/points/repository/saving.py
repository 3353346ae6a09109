"""SQL that writes games back: all they changed and recorded in one statement, and so one round trip, however many."""

from collections.abc import Collection, Sequence
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import Raw
from sqlalchemy import insert, text

from contracts.frames import encode_event
from contracts.ids import RoomSeq
from contracts.rooms import Status, encode
from services.kit.clock import NOW_SQL
from services.kit.database import Transaction
from services.kit.models import table_of
from services.kit.rooms import Publication
from services.points import models
from services.points.domain.game import Game
from services.points.domain.seats import SEAT_VALUES, values_of
from services.points.domain.views import encode_schedule, encode_state

ROOM_RETRY_MS = 1_000

_SESSIONS = {
    "session_id": "uuid",
    "status": "text",
    "starts_at": "bigint",
    "started_at": "bigint",
    "ending_at": "bigint",
    "finished_at": "bigint",
    "survival_ms": "bigint",
    "end_reason": "text",
    "due_at": "bigint",
    "settled_at": "bigint",
    "puzzle_version": "bigint",
    "awaited_version": "bigint",
    "sent_version": "bigint",
    "seq": "bigint",
}
_SEAT_TYPES = {
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
_SEATS = {"session_id": "uuid", **{name: _SEAT_TYPES[name] for name in SEAT_VALUES}}
_EVENTS = {"session_id": "uuid", "seq": "bigint", "type": "text", "at": "bigint", "frame": "bytea"}
_LEDGER = {
    "session_id": "uuid",
    "key": "text",
    "at": "bigint",
    "kind": "text",
    "amount": "bigint",
    "player_id": "uuid",
    "from_player_id": "uuid",
    "puzzle_id": "uuid",
    "reason": "text",
    "base": "bigint",
}
_session_values = attrgetter(*tuple(_SESSIONS)[:-1])
_entry_values = attrgetter(*tuple(_LEDGER)[1:])


def _unnest(table: str, columns: dict[str, str]) -> str:
    """Rows from one array a column."""
    return f"unnest({', '.join(f'CAST(:{table}_{name} AS {kind}[])' for name, kind in columns.items())})"


def _insert(table: str, columns: dict[str, str]) -> str:
    return f"INSERT INTO points.{table} ({', '.join(columns)}) SELECT * FROM {_unnest(table, columns)}"  # noqa: S608 (our own names)


def _excluded(columns: dict[str, str]) -> str:
    return ", ".join(f"{name} = excluded.{name}" for name in columns)


_SAVE = text(
    f"""
    WITH sessions AS (
        UPDATE points.sessions AS session SET
            {", ".join(f"{name} = new.{name}" for name in _SESSIONS if name != "session_id")}
        FROM {_unnest("sessions", _SESSIONS)} AS new ({", ".join(_SESSIONS)})
        WHERE session.session_id = new.session_id
    ), seats AS (
        {_insert("seats", _SEATS)} ON CONFLICT (session_id, player_id) DO UPDATE SET {_excluded(_SEATS)}
    ), events AS (
        {_insert("session_events", _EVENTS)}
    ), ledger AS (
        {_insert("ledger", _LEDGER)}
    )
    INSERT INTO points.untold_rooms (session_id, seq, next_try_at)
    SELECT session_id, seq, (SELECT {NOW_SQL}) + {ROOM_RETRY_MS}
    FROM unnest(CAST(:told_session_id AS uuid[]), CAST(:told_seq AS bigint[])) AS told (session_id, seq)
    ON CONFLICT (session_id) DO UPDATE SET seq = excluded.seq
    """  # noqa: S608 (our own names)
)


async def create_game(transaction: Transaction, game: Game) -> None:
    """Store a new game with what it recorded."""
    values = {
        **dict(zip(_SESSIONS, (*_session_values(game), game.seq), strict=True)),
        "team_id": game.team_id,
        "rules": msgspec.to_builtins(game.rules),
        "seed": game.seed,
        "created_at": game.created_at,
    }
    await transaction.connection.execute(insert(table_of(models.Session)), [values])
    await save_games(transaction, [game])


async def save_games(transaction: Transaction, games: Collection[Game]) -> None:
    """Write back locked games: their rows, the seats that changed, and what they recorded, numbered on in their logs.

    The rooms are told after the commit, or by the sweeper if that fails.
    """
    seats: list[tuple[Any, ...]] = []
    events: list[tuple[Any, ...]] = []
    told: list[tuple[Any, ...]] = []
    publications = []
    for game in games:
        before = game.seats_before
        for seat in game.seats:
            if (values := values_of(seat)) != before.get(seat.player_id):
                seats.append((game.session_id, *values[:-1], _json(values[-1])))
        if not game.facts:
            continue
        first_seq = RoomSeq(game.seq + 1)
        frames = []
        for at, fact in game.facts:
            game.seq += 1
            frames.append(encode_event(RoomSeq(game.seq), at, fact))
            events.append((game.session_id, game.seq, fact.type, at, frames[-1]))
        told.append((game.session_id, game.seq))
        publications.append(publication(game, first_seq, frames))
    parameters = {
        **_arrays("sessions", _SESSIONS, [(*_session_values(game), game.seq) for game in games]),
        **_arrays("seats", _SEATS, seats),
        **_arrays("session_events", _EVENTS, events),
        **_arrays("ledger", _LEDGER, [(g.session_id, *_entry_values(entry)) for g in games for entry in g.entries]),
        **_arrays("told", ("session_id", "seq"), told),
    }
    await transaction.connection.execute(_SAVE, parameters)
    for told_room in publications:
        transaction.post(told_room)


def publication(game: Game, first_seq: RoomSeq, frames: Sequence[bytes], *, rebuild: bool = False) -> Publication:
    """What the game's room is to be told: the frames from `first_seq` on, and how the game is after them."""
    finished = game.status is Status.FINISHED
    return Publication(
        game.session_id, game.epoch, first_seq, encode_state(game), frames, rebuild, encode_schedule(game), finished
    )


def _json(puzzle: Any) -> bytes | None:
    return None if puzzle is None else bytes(puzzle) if isinstance(puzzle, Raw) else encode(puzzle)


def _arrays(table: str, columns: Collection[str], rows: Sequence[tuple[Any, ...]]) -> dict[str, list[Any]]:
    values = map(list, zip(*rows, strict=True)) if rows else ([] for _ in columns)
    return {f"{table}_{name}": column for name, column in zip(columns, values, strict=True)}
