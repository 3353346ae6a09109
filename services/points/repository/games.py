"""SQL that reads games, locked or not: two statements for any number of them."""

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import ARRAY, FromClause, Select, Text, Uuid, any_, bindparam, cast, delete, select

from contracts.ids import PlayerId, SessionId
from contracts.rooms import EndReason, Status
from contracts.rules import Rules
from services.kit.database import Transaction
from services.kit.models import table_of
from services.points import models
from services.points.domain.game import Game
from services.points.domain.seats import SEAT_VALUES, Seat, values_of
from services.points.repository.archive import archived_rows, restore

_sessions, _seats, _teams = table_of(models.Session), table_of(models.Seat), table_of(models.Team)
_decode_rules = lru_cache(msgspec.json.Decoder(Rules).decode)

_PLAIN = ("created_at", "seed", "starts_at", "started_at", "ending_at", "finished_at", "survival_ms", "seq")
_POSITION = ("settled_at", "puzzle_version", "awaited_version", "sent_version")
_these = any_(bindparam("session_ids", type_=ARRAY(Uuid)))


def _games_in(sessions: FromClause) -> Select[tuple[Any, ...]]:
    return select(
        *(sessions.c[name] for name in ("session_id", "team_id")),
        _teams.c.name,
        cast(sessions.c.rules, Text),
        *(sessions.c[name] for name in ("status", "end_reason", *_PLAIN, *_POSITION)),
        select(models.Epoch.epoch).scalar_subquery(),
    ).select_from(sessions.join(_teams, _teams.c.team_id == sessions.c.team_id))


def _seats_in(seats: FromClause) -> Select[tuple[Any, ...]]:
    values = (seats.c[name] for name in SEAT_VALUES)
    return select(seats.c.session_id, *values).order_by(seats.c.session_id, seats.c.seat)


GAMES = _games_in(_sessions)
"""All games that are not archived; to be narrowed, and given to `find_games`."""

# In one order, so that two who lock several never wait for each other.
_find = GAMES.where(_sessions.c.session_id == _these).order_by(_sessions.c.session_id)
_find_locked = _find.with_for_update(of=_sessions)
_find_unheld = _find.with_for_update(of=_sessions, skip_locked=True)
_find_seats = _seats_in(_seats).where(_seats.c.session_id == _these)
_find_archived, _find_archived_seats = _games_in(archived_rows(_sessions)), _seats_in(archived_rows(_seats))


async def read_game(transaction: Transaction, session_id: SessionId) -> Game | None:
    """The game as it is, without locking it; also where it is archived."""
    this = [session_id]
    found = await find_games(transaction, _find, session_ids=this)
    if not found:
        found = await _find_games(transaction, _find_archived, _find_archived_seats, {"session_ids": this})
    return found.get(session_id)


async def lock_game(transaction: Transaction, session_id: SessionId) -> Game | None:
    """The game, locked until the end of the transaction."""
    return (await lock_games(transaction, [session_id])).get(session_id)


async def lock_games(
    transaction: Transaction, session_ids: Collection[SessionId], *, skip_held: bool = False
) -> dict[SessionId, Game]:
    """The games, locked until the end of the transaction in the order of their ids. Unknown ones are left out.

    Archived ones come back from the archive. With `skip_held`, they and those that somebody else holds at the moment
    are left out too.
    """
    if skip_held:
        return await find_games(transaction, _find_unheld, session_ids=list(session_ids))
    games = await find_games(transaction, _find_locked, session_ids=list(session_ids))
    if missing := [session_id for session_id in session_ids if session_id not in games]:
        await restore(transaction, missing)
        games |= await find_games(transaction, _find_locked, session_ids=missing)
    return games


async def find_games(
    transaction: Transaction, statement: Select[tuple[Any, ...]], **parameters: object
) -> dict[SessionId, Game]:
    """Those of GAMES that a statement has left, in its order."""
    return await _find_games(transaction, statement, _find_seats, parameters)


async def _find_games(
    transaction: Transaction,
    statement: Select[tuple[Any, ...]],
    seats: Select[tuple[Any, ...]],
    parameters: Mapping[str, object],
) -> dict[SessionId, Game]:
    rows = await transaction.connection.execute(statement, parameters)
    games = {row[0]: _game(*row) for row in rows}
    if games:
        for row in await transaction.connection.execute(seats, {"session_ids": list(games)}):
            game = games[row[0]]
            seat = _seat(*row[1:])
            game.seats.append(seat)
            game.seats_before[seat.player_id] = values_of(seat)
    return games


def _seat(*values: Any) -> Seat:
    puzzle = values[-1]
    seat = Seat(*values)
    seat.puzzle = None if puzzle is None else msgspec.Raw(puzzle)
    return seat


def _game(
    session_id: Any, team_id: Any, team_name: str, rules: str, status: str, end_reason: str | None, *values: Any
) -> Game:
    *plain, epoch = values
    return Game(
        session_id=session_id,
        team_id=team_id,
        team_name=team_name,
        rules=_decode_rules(rules),
        status=Status(status),
        end_reason=None if end_reason is None else EndReason(end_reason),
        epoch=epoch,
        **dict(zip((*_PLAIN, *_POSITION), plain, strict=True)),
    )


async def read_epoch(transaction: Transaction) -> str:
    """The life of this database's logs."""
    return str((await transaction.connection.execute(select(models.Epoch.epoch))).scalar_one())


async def delete_seat(transaction: Transaction, session_id: SessionId, player_id: PlayerId) -> None:
    """Remove the row of a seat that was given back."""
    where = (_seats.c.session_id == session_id) & (_seats.c.player_id == player_id)
    await transaction.connection.execute(delete(_seats).where(where))
