"""Tokens expire on open connections too, unless they are refreshed there."""

import time
from collections.abc import Callable
from uuid import uuid4

import httpx
import pytest

from contracts.frames import Error, Refresh, Refreshed
from contracts.ids import PlayerId
from services.kit.tokens import Role
from tests.integration.realtime.clients import closed, dial, join, token_for
from tests.integration.realtime.points import Points, Session
from tests.integration.realtime.streams import listen

GRACE_S = 0.5
EXPIRED = (4502, "expired_token")


@pytest.fixture
def url(new_gateway: Callable[..., str]) -> str:
    """A gateway with a short grace."""
    return new_gateway(token_grace_s=GRACE_S)


def _short(session: Session) -> str:
    return token_for(session.team_id, player_id=session.player_id, life_s=2)


async def test_an_expired_token_closes_after_the_grace_and_not_before(url: str, points: Points) -> None:
    session = await points.open()
    async with join(url, session, token=_short(session)) as client:
        expires_at = client.welcome.expires_at
        assert expires_at is not None
        await points.happen(session)
        assert await client.closed() == EXPIRED
        assert GRACE_S <= time.time() - expires_at / 1000 < GRACE_S + 2
        assert client.seq == session.seq


async def test_a_refresh_keeps_the_connection_open(url: str, points: Points) -> None:
    session = await points.open()
    token = _short(session)
    longer = token_for(session.team_id, player_id=session.player_id)
    async with join(url, session, token=token) as client, join(url, session, token=token) as witness:
        await client.say(Refresh(token=longer))
        refreshed = await client.hear(Refreshed)
        assert 500 < refreshed.expires_at / 1000 - time.time() <= 600
        assert await witness.closed() == EXPIRED
        await points.happen(session)
        await client.reach(session.seq)
    async with join(url, session, token=longer, seq=1, epoch=client.welcome.epoch) as back:
        await back.reach(session.seq)


async def test_a_refresh_with_what_is_nobodys_or_somebody_elses_changes_nothing(url: str, points: Points) -> None:
    session = await points.open()
    async with join(url, session, token=_short(session)) as client:
        for foreign in (
            token_for(session.team_id, player_id=PlayerId(uuid4())),
            token_for(session.team_id, player_id=session.player_id, role=Role.HOST),
            token_for(Session().team_id, player_id=session.player_id),
        ):
            await client.say(Refresh(token=foreign))
            assert (await client.hear(Error)).code == "forbidden"
        await client.say(Refresh(token="nonsense"))
        assert (await client.hear(Error)).code == "invalid_token"
        await points.happen(session)
        assert await client.closed() == EXPIRED
        assert client.seq == session.seq


async def test_a_refresh_that_comes_with_the_join_counts(url: str, points: Points) -> None:
    session = await points.open()
    token, longer = _short(session), token_for(session.team_id, player_id=session.player_id)
    async with dial(url, session.id) as socket, join(url, session, token=token) as witness:
        await socket.send(f'{{"type": "join", "token": "{token}"}}')
        await socket.send(f'{{"type": "refresh", "token": "{longer}"}}')
        assert await witness.closed() == EXPIRED
        await socket.send('{"type": "ping", "id": 77}')
        while '"id":77' not in str(await socket.recv()):
            pass


async def test_a_token_that_is_past_its_grace_already_is_refused_at_once(
    new_gateway: Callable[..., str], points: Points
) -> None:
    """Clocks differ by some seconds, so a token that has just expired is taken as valid; the grace is counted still."""
    session = await points.open()
    token = token_for(session.team_id, life_s=-2)
    async with dial(new_gateway(token_grace_s=1), session.id) as socket:
        await socket.send(f'{{"type": "join", "token": "{token}"}}')
        assert await closed(socket) == EXPIRED


async def test_a_stream_ends_after_the_grace(url: str, points: Points, http: httpx.AsyncClient) -> None:
    session = await points.open()
    async with listen(http, url, session, token=_short(session)) as client:
        assert client.welcome is not None
        assert client.welcome.expires_at is not None
        await points.happen(session)
        assert await client.end() == EXPIRED
        assert GRACE_S <= time.time() - client.welcome.expires_at / 1000 < GRACE_S + 2
        assert client.seq == session.seq
    longer = token_for(session.team_id, player_id=session.player_id)
    async with listen(http, url, session, token=longer, last_event_id=client.last_event_id) as back:
        assert back.welcome is not None
        assert back.welcome.recovered
