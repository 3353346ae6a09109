"""The ledger, explained: each entry with what the decay took before it and what was there after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from contracts.ids import PlayerId
from services.kit.clock import now_ms
from services.kit.database import Transaction
from services.points.domain.game import Game
from services.points.domain.rules import points_at
from services.points.domain.seats import Seat
from services.points.domain.views import points_of
from services.points.repository import ledger as repository
from services.points.service import games


@dataclass(frozen=True, slots=True)
class Explained:
    """An entry. `decayed` is what the player lost to the decay since the own entry before, `points` what the player
    had after this one; None where the entry is nobody's."""

    entry: Row[Any]
    decayed: int | None
    points: int | None


@dataclass(frozen=True, slots=True)
class Balance:
    """What a player has at `at`, after `decayed` more was lost since the last entry."""

    player_id: PlayerId
    at: int
    decayed: int
    points: int


async def page(
    transaction: Transaction, game: Game, player_id: PlayerId | None, after: int, limit: int
) -> tuple[Sequence[Explained], Sequence[Balance]]:
    """A page of the ledger, of one player's entries if one is named; on the last page the balances too.

    Over all pages, amounts less what decayed are the points. Raises Problem 404 for a player of another session.
    """
    with games.moves():
        seats = game.seats if player_id is None else [game.seat_of(player_id)]
    rows = await repository.read_entries(transaction, game.session_id, player_id, after, limit)
    entries = [_explained(game, row) for row in rows]
    if len(rows) == limit or game.started_at is None:
        return entries, []
    now = await now_ms(transaction.connection)
    last = await repository.last_entries(transaction, game.session_id)
    return entries, [_balance(game, seat, last[seat.player_id], now) for seat in seats if seat.player_id in last]


def _explained(game: Game, row: Row[Any]) -> Explained:
    if row.player_id is None or game.started_at is None:
        return Explained(row, None, None)
    decayed, before = 0, row.base - row.amount
    if row.previous_at is not None:
        decayed = _points(game, before, row.previous_at) - _points(game, before, row.at)
    return Explained(row, decayed, _points(game, row.base, row.at))


def _balance(game: Game, seat: Seat, since: int, now: int) -> Balance:
    at = min(now, game.ending_at or now) if game.finished_at is None else game.finished_at
    points = points_of(game, seat, at)
    return Balance(seat.player_id, at, _points(game, seat.base, since) - points, points)


def _points(game: Game, base: int, at: int) -> int:
    return points_at(game.rules, game.started_at or 0, base, at)
