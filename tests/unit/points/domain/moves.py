"""What happens in a running game, and what its players have then."""

from contracts.rooms import VoidReason
from services.points.domain.game import Game
from services.points.domain.views import points_of
from tests.factories import Puzzles


def points(game: Game, at: int) -> list[int]:
    return [points_of(game, seat, at) for seat in game.seats]


def voids(game: Game) -> list[tuple[VoidReason | None, int]]:
    return [(entry.reason, entry.at) for entry in game.entries if entry.kind == "void"]


def solve(game: Game, seat: int, at: int) -> None:
    game.apply(Puzzles(game.session_id).solved(game.seats[seat].player_id, at))


def fail(game: Game, seat: int, at: int) -> None:
    game.apply(Puzzles(game.session_id).failed(game.seats[seat].player_id, at))
