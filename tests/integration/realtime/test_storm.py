"""Everybody comes back at once, and nobody has missed anything."""

import asyncio
import random
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

from services.kit.supervise import stop
from tests.integration.realtime.crowd import Crowd
from tests.integration.realtime.metrics import metric
from tests.integration.realtime.points import Points, Session
from tests.integration.realtime.processes import Gateway, gateway

PAUSE_S = 0.005
"""Between two events, each of another room."""


@pytest.fixture(autouse=True)
def _many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@asynccontextmanager
async def _going_on(points: Points, sessions: list[Session]) -> AsyncIterator[None]:
    """While this block runs, something happens all the time in one room after the other."""

    async def happen() -> None:
        while True:
            for session in sessions:
                await points.happen(session)
                await asyncio.sleep(PAUSE_S)

    task = asyncio.create_task(happen())
    try:
        yield
        assert not task.done(), "nothing happened any more"
    finally:
        await stop([task])


def _port(gateway: Gateway) -> int:
    return int(gateway.url.rpartition(":")[2])


async def test_two_thousand_cut_off_at_once_get_exactly_what_they_missed(
    redis_url: str, points: Points, http: httpx.AsyncClient
) -> None:
    sessions = [await points.open() for _ in range(100)]
    async with gateway(redis_url, http) as only:
        crowd = Crowd(sessions, 20, lambda: _port(only))
        with crowd.there():
            await crowd.have_all()
            reads = await metric(http, only.url, "baton_room_reads_total")
            async with _going_on(points, sessions):
                crowd.cut()
                await crowd.until(lambda: crowd.count["recovered"] == len(crowd.players))
            await crowd.have_all()
            assert await metric(http, only.url, "baton_room_reads_total") < reads + 5 * len(sessions)
        assert crowd.faults == []
        assert crowd.count["missed"] > 0
        assert crowd.count["welcomed anew"] == len(crowd.players)


async def test_the_clients_of_a_killed_gateway_go_on_at_another(
    redis_url: str, points: Points, http: httpx.AsyncClient
) -> None:
    sessions = [await points.open() for _ in range(50)]
    async with gateway(redis_url, http) as first, gateway(redis_url, http) as second:
        there = [first, second]
        crowd = Crowd(sessions, 4, lambda: _port(random.choice(there)))
        with crowd.there():
            await crowd.have_all()
            async with _going_on(points, sessions):
                there.remove(first)
                first.process.kill()
                await crowd.until(lambda: 50 < crowd.count["lost"] == crowd.count["recovered"])
            await crowd.have_all()
        assert crowd.faults == []
        assert crowd.count["missed"] > 0
        assert crowd.count["welcomed anew"] == len(crowd.players)


async def test_a_rolling_restart_of_two_gateways_loses_no_event(
    redis_url: str, points: Points, http: httpx.AsyncClient
) -> None:
    sessions = [await points.open() for _ in range(50)]
    async with AsyncExitStack() as stack:
        there = [await stack.enter_async_context(gateway(redis_url, http)) for _ in range(2)]
        crowd = Crowd(sessions, 4, lambda: _port(random.choice(there)))
        with crowd.there():
            await crowd.have_all()
            async with _going_on(points, sessions):
                for _ in range(2):
                    old = there.pop(0)
                    old.process.terminate()
                    async with asyncio.timeout(15):
                        assert await old.process.wait() == 0
                    there.append(await stack.enter_async_context(gateway(redis_url, http)))
            await crowd.have_all()
            assert {kind for kind in crowd.count if kind.startswith("closed")} == {"closed with 1012"}
        assert crowd.faults == []
        assert crowd.count["missed"] > 0
        assert crowd.count["closed with 1012"] >= len(crowd.players)
        assert crowd.count["welcomed anew"] == len(crowd.players)
