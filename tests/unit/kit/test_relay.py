"""③ The relay: many events in one round trip, and what cannot be sent is left to the sweeper and not kept for ever."""

import asyncio
from typing import Any

import fakeredis
import pytest
from redis.exceptions import RedisError

from services.kit.outbox import Outgoing, Relay

pytestmark = pytest.mark.anyio


def events(count: int, first: int = 0) -> list[Outgoing]:
    return [Outgoing("stream", str(first + number).encode()) for number in range(count)]


async def sent(redis: fakeredis.FakeAsyncRedis) -> list[int]:
    entries: Any = await redis.xrange("stream")
    return [int(fields[b"e"]) for _, fields in entries]


async def test_everything_is_sent_in_order() -> None:
    redis = fakeredis.FakeAsyncRedis()
    relay = Relay(redis)
    relay.send(events(450))
    relay.send(events(50, first=450))
    await relay.flush()
    assert await sent(redis) == list(range(500))
    await relay.flush()
    assert len(await sent(redis)) == 500
    await redis.aclose()


async def test_while_it_runs_events_leave_by_themselves() -> None:
    redis = fakeredis.FakeAsyncRedis()
    relay = Relay(redis)
    running = asyncio.create_task(relay.run())
    for first in (0, 3):
        relay.send(events(3, first))
        async with asyncio.timeout(5):
            while len(await sent(redis)) < first + 3:  # noqa: ASYNC110 (the relay has no sign that it sent)
                await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await redis.aclose()


async def test_without_valkey_it_says_so_and_goes_on_with_what_comes_later() -> None:
    server = fakeredis.FakeServer()
    redis = fakeredis.FakeAsyncRedis(server=server)
    relay = Relay(redis)
    server.connected = False
    relay.send(events(3))
    with pytest.raises((RedisError, OSError)):
        await relay.flush()
    server.connected = True
    relay.send(events(2, first=3))
    await relay.flush()
    assert await sent(redis) == [3, 4]
    await redis.aclose()
