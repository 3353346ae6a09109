import asyncio
from uuid import uuid4

import pytest

from baton.demo import tokens
from contracts.ids import PlayerId, TeamId
from services.kit.tokens import DEVELOPMENT_PRIVATE_KEY, Role, Signer


def _token(life_s: int) -> str:
    return Signer(DEVELOPMENT_PRIVATE_KEY, life_s).sign(PlayerId(uuid4()), TeamId(uuid4()), Role.PLAYER)


class Api:
    """It hands out these tokens, and refuses when there are none left."""

    def __init__(self, *newer: str) -> None:
        self.newer = list(newer)
        self.given: list[str] = []

    async def refresh(self, token: str) -> str:
        self.given.append(token)
        if not self.newer:
            raise RuntimeError("no more tokens")
        return self.newer.pop(0)


async def test_each_token_is_exchanged_at_half_its_life_and_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    taken: list[str] = []

    async def take(token: str) -> None:
        taken.append(token)

    first, second, third = _token(60), _token(600), _token(6000)
    api = Api(second, third)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(RuntimeError):
        await tokens.keep_fresh(api, first, take)
    assert slept == [30, 300, 3000]
    assert taken == [second, third]
    assert api.given == [first, second, third]
