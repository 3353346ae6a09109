"""Whole games through the points service's use cases, in no time: to be looked at when they are over."""

from collections.abc import Callable, Sequence
from typing import Any

from contracts.events import PuzzleEvent
from contracts.ids import TeamId
from services.kit.database import Database
from services.points.domain.game import Game
from services.points.domain.rules import KNOWN_PUZZLE_TYPES
from services.points.service import games, sessions, teams
from tests.factories import Puzzles


async def new_team(database: Database, players: int = 2) -> TeamId:
    async with database.transaction() as transaction:
        team = await teams.create(transaction, "Otters")
        for number in range(players):
            await teams.join(transaction, team.code, f"Player {number}", None)
        return team.team_id


async def playing(database: Database, team_id: TeamId, **rules: Any) -> Game:
    """A game of the team that has begun."""
    async with database.transaction() as transaction:
        opened = await sessions.open_lobby(transaction, team_id, {"countdown_ms": 0, **rules}, KNOWN_PUZZLE_TYPES)
        await sessions.start(transaction, opened.session_id)
        game = await games.lock(transaction, opened.session_id)
        game.advance(game.starts_at or 0)
        await games.keep(transaction, game)
        return game


async def play(
    database: Database, team_id: TeamId, survival_ms: int, closed: Sequence[tuple[str, bool]] = (), **rules: Any
) -> Game:
    """A game that its host ends after `survival_ms`; `closed` has types of puzzles, and whether they were solved."""
    begun = await playing(database, team_id, **rules)
    puzzles = Puzzles(begun.session_id)
    async with database.transaction() as transaction:
        game = await games.lock(transaction, begun.session_id)
        assert game.started_at is not None
        for number, (kind, solved) in enumerate(closed, start=1):
            not_solved: list[Callable[..., PuzzleEvent]] = [puzzles.failed, puzzles.expired]
            make = puzzles.solved if solved else not_solved[number % 2]
            game.apply(make(game.seats[0].player_id, game.started_at + number % survival_ms, kind=kind))
        game.end(game.started_at + survival_ms)
        game.advance(game.started_at + survival_ms)
        assert game.survival_ms == survival_ms
        await games.keep(transaction, game)
        return game
