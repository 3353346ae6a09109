"""Teams: make one, join it, look at it, leave it."""

from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Path

from contracts.ids import PlayerId, TeamId
from services.kit.caller import Caller
from services.kit.dependencies import Once, RequestSnapshot, RequestTransaction
from services.kit.tokens import Role
from services.points import errors
from services.points.routers.access import TokenSigner, in_team, of_team
from services.points.schemas import (
    CreateTeam,
    Done,
    Joined,
    JoinTeam,
    SpectatorJoined,
    TeamCreated,
    TeamView,
)
from services.points.service import teams

router = APIRouter(tags=["teams"])
Code = Annotated[str, Path(min_length=1, max_length=20, pattern=r"^[A-Za-z0-9]+$")]


@router.post("/teams", status_code=201)
async def create_team(
    body: CreateTeam, signer: TokenSigner, transaction: RequestTransaction, once: Once
) -> TeamCreated:
    """Make a team. The host's token is told once, here."""

    async def create() -> TeamCreated:
        team = await teams.create(transaction, body.name)
        token = signer.sign(PlayerId(uuid4()), team.team_id, Role.HOST)
        return TeamCreated(team_id=team.team_id, name=team.name, code=team.code, host_token=token)

    return await once.run(transaction, "anybody", TeamCreated, create)


@router.post("/teams/{code}/players", status_code=201)
async def join_team(
    code: Code, body: JoinTeam, signer: TokenSigner, transaction: RequestTransaction, once: Once
) -> Joined:
    """Take a seat in the team. The player's token is told once, here."""

    async def join() -> Joined:
        team, member = await teams.join(transaction, code, body.name, body.colour)
        token = signer.sign(member.player_id, team.team_id, Role.PLAYER)
        return Joined(
            team_id=team.team_id,
            player_id=member.player_id,
            seat=member.seat,
            name=member.name,
            colour=member.colour,
            token=token,
            session_id=team.session_id,
        )

    return await once.run(transaction, "anybody", Joined, join)


@router.post("/teams/{code}/spectators", status_code=201)
async def watch_team(code: Code, signer: TokenSigner, transaction: RequestTransaction, once: Once) -> SpectatorJoined:
    """A token with which one can look, and nothing else."""

    async def watch() -> SpectatorJoined:
        team = await teams.find(transaction, code)
        token = signer.sign(PlayerId(uuid4()), team.team_id, Role.SPECTATOR)
        return SpectatorJoined(team_id=team.team_id, token=token, session_id=team.session_id)

    return await once.run(transaction, "anybody", SpectatorJoined, watch)


@router.get("/teams/{team_id}")
async def get_team(team_id: UUID, caller: Caller, transaction: RequestSnapshot) -> TeamView:
    """The team, its players, and its unfinished session."""
    await in_team(transaction, caller, TeamId(team_id))
    return TeamView.model_validate(await teams.get(transaction, TeamId(team_id)))


@router.delete("/teams/{team_id}/players/{player_id}", status_code=204)
async def leave_team(
    team_id: UUID, player_id: UUID, caller: Caller, transaction: RequestTransaction, once: Once
) -> None:
    """Leave the team, or as its host remove somebody; not between start and end of a game.

    The player's token opens nothing of the team any more, and the player's sockets in the lobby are closed.
    """
    of_team(caller, TeamId(team_id))
    if caller.role is not Role.HOST and not (caller.role is Role.PLAYER and caller.subject == player_id):
        raise errors.host_only()

    async def leave() -> Done:
        await teams.leave(transaction, TeamId(team_id), PlayerId(player_id))
        return Done()

    await once.run(transaction, str(caller.subject), Done, leave)
