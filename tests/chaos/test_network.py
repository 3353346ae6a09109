"""What stands between the services and Valkey breaks things in the way it says."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as LostError

from baton.ports import any_free
from baton.servers import Valkey
from contracts.channels import PUZZLE_EVENTS
from services.kit.stream_adding import add
from tests.chaos.proxy import Proxy
from tests.chaos.shuffling import Shuffler, hold_back
from tests.points_game import until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("clean")]
ENTRIES = 60


@asynccontextmanager
async def through_a_proxy(valkey: Valkey) -> AsyncIterator[tuple[Proxy, Redis]]:
    """A client that tries everything once, and the proxy between it and Valkey."""
    proxy = Proxy(any_free(), valkey.port, random.Random(1), hold_back)
    server = await proxy.listen()
    client = Redis(port=proxy.port, retry=Retry(NoBackoff(), 0), socket_timeout=5)
    await client.ping()
    try:
        yield proxy, client
    finally:
        await client.aclose()
        server.close()


async def test_a_command_whose_reply_is_lost_was_executed(valkey: Valkey) -> None:
    async with through_a_proxy(valkey) as (proxy, client), Redis(port=valkey.port) as direct:
        proxy.lose(1e-12)
        with pytest.raises(LostError):
            await client.incr("counted")
        assert await direct.get("counted") == b"1"
        assert proxy.counts == {"replies lost": 1}
        assert await client.incr("counted") == 2


async def test_of_commands_that_are_broken_off_the_first_ones_are_executed(valkey: Valkey) -> None:
    async with through_a_proxy(valkey) as (proxy, client), Redis(port=valkey.port) as direct:
        executed = []
        for _ in range(20):
            await client.ping()
            await direct.delete("counted")
            proxy._losing = 5.0  # of all that is sent, a part arrives
            pipeline = client.pipeline(transaction=False)
            for _ in range(100):
                pipeline.incr("counted")
            with pytest.raises(LostError):
                await pipeline.execute()
            proxy.lose(0)
            executed.append(int(await direct.get("counted") or 0))
        assert proxy.counts["sent in part"] == 20
        assert min(executed) < 50 < max(executed) < 100


async def deliveries(valkey: Valkey, *, calm: bool) -> list[int]:
    """The numbers of entries as a consumer of the stream meets them."""
    async with through_a_proxy(valkey) as (_, client), Redis(port=valkey.port) as direct:
        shuffler = Shuffler(f"redis://127.0.0.1:{valkey.port}/0", random.Random(1))
        shuffler.calm = calm
        for number in range(ENTRIES):
            pipeline = client.pipeline(transaction=False)
            add(pipeline, PUZZLE_EVENTS, [b"%d" % number])
            await pipeline.execute()
        assert await direct.xlen(PUZZLE_EVENTS) == 0
        running = asyncio.create_task(shuffler.run(PUZZLE_EVENTS))

        async def all_delivered() -> bool:
            return shuffler.counts["entries held back"] == ENTRIES

        await until(all_delivered)
        running.cancel()
        await asyncio.wait([running])
        await shuffler.close()
        entries: Any = await direct.xrange(PUZZLE_EVENTS)
        return [int(fields[b"e"]) for _, fields in entries]


async def test_every_entry_is_delivered_one_to_five_times_and_out_of_order(valkey: Valkey) -> None:
    found = await deliveries(valkey, calm=False)
    times = Counter(found)
    assert set(times) == set(range(ENTRIES))
    assert set(times.values()) == {1, 2, 3, 5}
    assert list(dict.fromkeys(found)) != sorted(times)


async def test_when_it_is_calm_every_entry_is_delivered_once_and_in_order(valkey: Valkey) -> None:
    assert await deliveries(valkey, calm=True) == list(range(ENTRIES))
