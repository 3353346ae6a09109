"""Sessions, from the lobby to the host's early end."""

import secrets
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from contracts import rooms
from contracts.ids import PlayerId, SessionId, TeamId
from contracts.rooms import EndReason, Status
from services.kit.clock import now_ms
from services.kit.database import Transaction
from services.points import errors
from services.points.domain.game import Game
from services.points.domain.rules import InvalidRulesError, parse_rules
from services.points.domain.views import public_state
from services.points.repository import due, saving, teams
from services.points.repository import games as repository
from services.points.service import games


async def open_lobby(
    transaction: Transaction, team_id: TeamId, rules: Mapping[str, Any], puzzle_types: frozenset[str]
) -> Game:
    """A new session in the lobby, with the team's players in it.

    Raises Problem 404, 409 while the team has an unfinished session or more players than seats, 422 for bad rules.
    """
    team = await teams.find_team(transaction, team_id, lock=True)
    if team is None:
        raise errors.team_not_found()
    try:
        parsed = parse_rules(rules, puzzle_types)
    except InvalidRulesError as error:
        raise errors.invalid_rules(error.field, error.message) from error
    if await teams.unfinished_session(transaction, team_id) is not None:
        raise errors.session_exists()
    members = await teams.find_players(transaction, team_id)
    if len(members) > parsed.seats:
        raise errors.too_many_players(len(members), parsed.seats)
    at = await now_ms(transaction.connection)
    game = Game(
        session_id=SessionId(uuid4()),
        team_id=team_id,
        team_name=team.name,
        rules=parsed,
        created_at=at,
        # Puzzles follow from it, so nobody may guess it.
        seed=secrets.randbits(62),
        epoch=await repository.read_epoch(transaction),
    )
    game.facts.append((at, rooms.SessionCreated(state=public_state(game))))
    for member in members:
        game.join(PlayerId(member.player_id), member.seat, member.name, member.colour, at)
    await saving.create_game(transaction, game)
    return game


async def set_ready(transaction: Transaction, session_id: SessionId, player_id: PlayerId, ready: bool) -> Game:
    """Say whether a player is ready. Raises Problem 404 or 409."""
    game = await games.lock(transaction, session_id)
    with games.moves():
        game.set_ready(player_id, ready, await now_ms(transaction.connection))
    await games.keep(transaction, game)
    return game


async def start(transaction: Transaction, session_id: SessionId) -> Game:
    """Begin the countdown. Raises Problem 404, or 409 without players or outside the lobby."""
    game = await games.lock(transaction, session_id)
    with games.moves():
        game.start(await now_ms(transaction.connection))
    await games.keep(transaction, game)
    return game


async def end(transaction: Transaction, session_id: SessionId) -> Game:
    """End early, as of now. A running game is finished as soon as all answers given before are applied."""
    game = await games.lock(transaction, session_id)
    game.end(await now_ms(transaction.connection))
    await games.keep(transaction, game)
    return game


async def close_abandoned(transaction: Transaction, older_than_ms: int, limit: int = 100) -> int:
    """Finish lobbies that nobody started for so long. Returns how many."""
    now = await now_ms(transaction.connection)
    closed = 0
    for session_id in await due.old_lobbies(transaction, now - older_than_ms, limit):
        game = (await repository.lock_games(transaction, [session_id], skip_held=True)).get(session_id)
        if game is not None and game.status is Status.LOBBY:
            game.end(now, EndReason.ABANDONED)
            await games.keep(transaction, game)
            closed += 1
    return closed
