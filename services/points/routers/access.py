"""Who may: a token opens its own team's sessions, a player's its own seat, a host's the team's commands."""

import hmac
from typing import Annotated

from fastapi import Depends, Header, Request

from contracts.ids import PlayerId, TeamId
from services.kit.database import Transaction
from services.kit.tokens import Identity, Role, Signer
from services.points import errors
from services.points.service import teams
from services.points.settings import PointsSettings


def of_team(caller: Identity, team_id: TeamId) -> None:
    """Raise Problem 403 unless the token was made for this team."""
    if caller.team_id != team_id:
        raise errors.not_your_team()


async def in_team(transaction: Transaction, caller: Identity, team_id: TeamId) -> None:
    """Raise Problem 403 unless the token is for this team, and its player, where it is one's, still in it."""
    of_team(caller, team_id)
    if caller.role is Role.PLAYER and not await teams.is_member(transaction, team_id, caller.subject):
        raise errors.left_team()


def as_host(caller: Identity, team_id: TeamId) -> None:
    """Raise Problem 403 unless the token is this team's host's."""
    of_team(caller, team_id)
    if caller.role is not Role.HOST:
        raise errors.host_only()


async def as_player(transaction: Transaction, caller: Identity, team_id: TeamId) -> PlayerId:
    """The player whose token it is. Raise Problem 403 where it is nobody's of this team."""
    await in_team(transaction, caller, team_id)
    if caller.role is not Role.PLAYER:
        raise errors.player_only()
    return caller.subject


# Asynchronous, since FastAPI runs others in threads.
async def _signer(request: Request) -> Signer:
    signer: Signer = request.app.state.signer
    return signer


TokenSigner = Annotated[Signer, Depends(_signer)]


async def _as_operator(
    request: Request, key: Annotated[str | None, Header(alias="X-Operator-Key", max_length=200)] = None
) -> None:
    settings: PointsSettings = request.app.state.settings
    if key is None or not hmac.compare_digest(key.encode(), settings.operator_key.encode()):
        raise errors.operator_only()


AsOperator = Depends(_as_operator)
