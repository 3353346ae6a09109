"""What a route asks for to know who sent the request. Apart from `dependencies`: the gateway has no database."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from services.kit.problem import Problem
from services.kit.tokens import Identity, TokenError, Verifier

_bearer = HTTPBearer(auto_error=False)


async def _identity(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Identity:
    if credentials is None:
        raise Problem(401, "token_missing", "This needs a token in the header 'Authorization: Bearer …'.")
    verifier: Verifier = request.app.state.verifier
    try:
        return verifier.verify(credentials.credentials)
    except TokenError as error:
        code = "token_expired" if error.expired else "token_invalid"
        raise Problem(401, code, f"{str(error).capitalize()}.") from error


Caller = Annotated[Identity, Depends(_identity)]
"""Whoever sent the request; without a valid token it is refused with 401."""
