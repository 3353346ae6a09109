"""Teams and their players."""

import secrets
from dataclasses import dataclass
from uuid import uuid4

from contracts.ids import PlayerId, SessionId, TeamId
from contracts.rooms import Status
from services.kit.clock import now_ms
from services.kit.database import Transaction
from services.points import errors
from services.points.domain.game import Game
from services.points.domain.rules import MAX_SEATS
from services.points.repository import games as games_repository
from services.points.repository import teams
from services.points.service import games

CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Without I, O, 0 and 1, which people take for one another."""
CODE_LENGTH = 6
COLOURS = ("#e4572e", "#2e86ab", "#f3a712", "#4c9f70", "#8e5aa8", "#d1495b", "#3d5a80", "#7a9e7e")


@dataclass(frozen=True, slots=True)
class Member:
    """A player of a team."""

    player_id: PlayerId
    seat: int
    name: str
    colour: str


@dataclass(frozen=True, slots=True)
class Team:
    """A team as its members see it. `session_id` is its unfinished session."""

    team_id: TeamId
    name: str
    code: str
    players: list[Member]
    session_id: SessionId | None


async def create(transaction: Transaction, name: str) -> Team:
    """A new team with a join code that nobody else has."""
    at = await now_ms(transaction.connection)
    while True:
        code = "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))
        team_id = TeamId(uuid4())
        if await teams.insert_team(transaction, team_id, code, name, at):
            return Team(team_id, name, code, [], None)


async def get(transaction: Transaction, team_id: TeamId) -> Team:
    """The team. Raises Problem 404."""
    row = await teams.find_team(transaction, team_id)
    if row is None:
        raise errors.team_not_found()
    return Team(
        team_id=team_id,
        name=row.name,
        code=row.code,
        players=await _members(transaction, team_id),
        session_id=await teams.unfinished_session(transaction, team_id),
    )


async def is_member(transaction: Transaction, team_id: TeamId, player_id: PlayerId) -> bool:
    """Whether the player has joined the team, and not left it."""
    return await teams.has_player(transaction, team_id, player_id)


async def find(transaction: Transaction, code: str) -> Team:
    """The team with this join code. Raises Problem 404."""
    row = await teams.find_team_by_code(transaction, code.upper())
    if row is None:
        raise errors.team_not_found()
    return await get(transaction, TeamId(row.team_id))


async def join(transaction: Transaction, code: str, name: str, colour: str | None) -> tuple[Team, Member]:
    """Give somebody the first free seat, also in the team's lobby where there is one.

    Raises Problem 404 for an unknown code, 409 where the team is full, has started, or has somebody of that name.
    """
    row = await teams.find_team_by_code(transaction, code.upper(), lock=True)
    if row is None:
        raise errors.team_not_found()
    team_id = TeamId(row.team_id)
    game = await _unfinished(transaction, team_id)
    members = await _members(transaction, team_id)
    if any(member.name.casefold() == name.casefold() for member in members):
        raise errors.name_taken()
    if game is None and len(members) >= MAX_SEATS:
        raise errors.team_full(MAX_SEATS)
    taken = {member.seat for member in members}
    seat = next(number for number in range(MAX_SEATS + 1) if number not in taken)
    used = {member.colour for member in members}
    fallback = next((c for c in COLOURS if c not in used), COLOURS[seat % len(COLOURS)])
    member = Member(PlayerId(uuid4()), seat, name, colour or fallback)
    at = await now_ms(transaction.connection)
    if game is not None:
        with games.moves():
            game.join(member.player_id, seat, name, member.colour, at)
    stored = await teams.insert_player(
        transaction,
        {
            "player_id": member.player_id,
            "team_id": team_id,
            "seat": seat,
            "name": name,
            "colour": member.colour,
            "joined_at": at,
        },
    )
    if not stored:  # the database's rules of upper and lower case are not quite Python's
        raise errors.name_taken()
    if game is not None:
        await games.keep(transaction, game)
    return Team(team_id, row.name, row.code, [*members, member], None if game is None else game.session_id), member


async def leave(transaction: Transaction, team_id: TeamId, player_id: PlayerId) -> None:
    """Take a player out of the team, and out of its lobby. Raises Problem 404, or 409 after the start."""
    if await teams.find_team(transaction, team_id, lock=True) is None:
        raise errors.team_not_found()
    if all(member.player_id != player_id for member in await _members(transaction, team_id)):
        raise errors.player_not_found()
    game = await _unfinished(transaction, team_id)
    if game is not None and (game.status is not Status.LOBBY or any(s.player_id == player_id for s in game.seats)):
        with games.moves():
            game.leave(player_id, await now_ms(transaction.connection))
        await games_repository.delete_seat(transaction, game.session_id, player_id)
        await games.keep(transaction, game)
    await teams.delete_player(transaction, player_id)


async def _members(transaction: Transaction, team_id: TeamId) -> list[Member]:
    rows = await teams.find_players(transaction, team_id)
    return [Member(PlayerId(row.player_id), row.seat, row.name, row.colour) for row in rows]


async def _unfinished(transaction: Transaction, team_id: TeamId) -> Game | None:
    session_id = await teams.unfinished_session(transaction, team_id)
    return None if session_id is None else await games.lock(transaction, session_id)
