"""Tokens: a new one before the old one expires."""

from fastapi import APIRouter, Request

from services.kit.caller import Caller
from services.kit.dependencies import Once, RequestTransaction
from services.kit.tokens import Verifier
from services.points.routers.access import TokenSigner, in_team
from services.points.schemas import TokenRefreshed
from services.points.service import teams

router = APIRouter(tags=["tokens"])


@router.post("/tokens/refresh")
async def refresh_token(
    request: Request, signer: TokenSigner, caller: Caller, transaction: RequestTransaction, once: Once
) -> TokenRefreshed:
    """A token that lasts longer, for the same player, host or spectator. Takes one that is still valid.

    The old one stays valid until it expires. A player who left the team or was removed gets none.
    """
    await in_team(transaction, caller, caller.team_id)
    await teams.get(transaction, caller.team_id)
    verifier: Verifier = request.app.state.verifier

    async def sign() -> TokenRefreshed:
        token = signer.sign(caller.subject, caller.team_id, caller.role)
        return TokenRefreshed(token=token, expires_at=verifier.verify(token).expires_at * 1000)

    return await once.run(transaction, str(caller.subject), TokenRefreshed, sign)
