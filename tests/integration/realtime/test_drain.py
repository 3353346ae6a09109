"""A gateway that is told to stop sends its clients away without hurting anybody."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from contracts.frames import Join, Move, encode
from tests.integration.realtime.clients import PATIENCE_S, Client, closed, dial, join, token_for, until
from tests.integration.realtime.points import EPOCH, Points, Session
from tests.integration.realtime.processes import Gateway, gateway


@pytest.fixture
async def first(redis_url: str, http: httpx.AsyncClient) -> AsyncIterator[Gateway]:
    async with gateway(redis_url, http, BATON_DRAIN_NOTICE_S="1") as process:
        yield process


async def test_a_stopping_gateway_is_unready_takes_nobody_and_still_tells_everything(
    first: Gateway, points: Points, http: httpx.AsyncClient
) -> None:
    session = await points.open()
    async with join(first.url, session) as client:
        first.process.terminate()

        async def unready() -> bool:
            return (await http.get(f"{first.url}/readyz")).status_code == 503

        await until(unready)
        assert await _refused(first, session) == (503, "draining")
        await points.happen(session)
        await client.reach(session.seq)
        assert await client.closed() == (1012, "service_restart")
        assert any(isinstance(frame, Move) for frame in client.others)
    async with asyncio.timeout(PATIENCE_S):
        await first.process.wait()


async def test_a_team_leaves_together_and_nobody_misses_an_event(
    first: Gateway, redis_url: str, points: Points, http: httpx.AsyncClient
) -> None:
    sessions = [await points.open() for _ in range(10)]
    async with AsyncExitStack() as stack:
        second = await stack.enter_async_context(gateway(redis_url, http))
        clients = [await stack.enter_async_context(join(first.url, session)) for session in sessions for _ in range(2)]
        first.process.terminate()
        events = asyncio.create_task(_happen(points, sessions))
        codes = await asyncio.gather(*(client.closed() for client in clients))
        assert set(codes) == {(1012, "service_restart")}
        moves = [_moves(client) for client in clients]
        assert moves[::2] == moves[1::2], "a team was told different times"
        await events
        for index, client in enumerate(clients):
            session = sessions[index // 2]
            again = join(second.url, session, seq=client.seq, epoch=EPOCH)
            moved = await stack.enter_async_context(again)
            assert moved.welcome.recovered
            await moved.reach(session.seq)


async def _happen(points: Points, sessions: list[Session]) -> None:
    for _ in range(5):
        for session in sessions:
            await points.happen(session)


def _moves(client: Client) -> list[int]:
    return [frame.in_ms for frame in client.others if isinstance(frame, Move)]


async def test_who_joins_a_gateway_that_is_leaving_is_sent_on_at_once(
    first: Gateway, points: Points, http: httpx.AsyncClient
) -> None:
    session = await points.open()
    async with dial(first.url, session.id) as early:
        first.process.terminate()
        await early.ping()
        while (await http.get(f"{first.url}/readyz")).status_code != 503:  # noqa: ASYNC110 (another process)
            await asyncio.sleep(0.02)
        await early.send(encode(Join(token=token_for(session.team_id))).decode())
        async with asyncio.timeout(5):
            assert await closed(early) == (1012, "service_restart")


async def test_nobody_to_send_away_is_no_reason_to_wait(redis_url: str, http: httpx.AsyncClient) -> None:
    async with gateway(redis_url, http) as idle:
        idle.process.terminate()
        async with asyncio.timeout(5):
            await idle.process.wait()


async def test_foreign_pages_and_too_many_sockets_are_refused(
    redis_url: str, points: Points, http: httpx.AsyncClient
) -> None:
    limits = {"BATON_MAX_CONNECTIONS": "3", "BATON_MAX_CONNECTIONS_PER_TOKEN": "1"}
    session = await points.open()
    token = token_for(session.team_id)
    async with gateway(redis_url, http, **limits) as full, AsyncExitStack() as stack:
        for origin in ("https://evil.example", "null", full.url + ".evil.example"):
            assert await _refused(full, session, origin=origin) == (403, "origin_not_allowed")
        await stack.enter_async_context(join(full.url, session, token=token, origin=full.url))
        async with dial(full.url, session.id) as twice:
            await twice.send(encode(Join(token=token)).decode())
            assert await closed(twice) == (4508, "too_many_connections")
        waiting = [await stack.enter_async_context(dial(full.url, session.id)) for _ in range(2)]
        assert await _refused(full, session) == (503, "gateway_full")
        await waiting[0].close()
        await stack.enter_async_context(join(full.url, session))


async def _refused(gateway: Gateway, session: Session, **options: str) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as refused:
        await dial(gateway.url, session.id, **options).__aenter__()
    response = refused.value.response
    return response.status_code, json.loads(response.body)["code"]
