"""Tokens that outlive a long game: each is exchanged for a newer one well before it expires."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import jwt


class Refreshing(Protocol):
    """The API, as far as it is needed here."""

    async def refresh(self, token: str) -> str:
        """A newer token in the place of this one."""


async def keep_fresh(api: Refreshing, token: str, take: Callable[[str], Awaitable[None]]) -> None:
    """Exchange a token whenever half of its life is over, and hand the new one to `take`. Runs until cancelled.

    Raises what `api.refresh` raises.
    """
    while True:
        await asyncio.sleep(lifetime_s(token) / 2)
        token = await api.refresh(token)
        await take(token)


def lifetime_s(token: str) -> float:
    """From its issue to its end, whatever the clock here says."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return float(claims["exp"] - claims["iat"])
