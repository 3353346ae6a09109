"""Streams are as long as what is under way, and groups have the members that there are."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.events import Confirmation, encode
from contracts.ids import EventId
from services.kit import streams
from services.kit.confirmations import Confirmations
from services.kit.database import Database
from services.kit.redis_client import BLOCK_MS, ValkeyClient, connect
from services.kit.stream_upkeep import forget_gone
from services.kit.streams import Consumer, Outcome, create_group
from services.kit.supervise import stop
from services.points.repository.outbox import outbox

pytestmark = pytest.mark.anyio

STREAM, GROUP, CONFIRMATIONS = "baton:test:events", "test", "baton:test:confirmations"


@pytest.fixture
async def redis(clean: None, redis_url: str) -> AsyncIterator[ValkeyClient]:
    client = connect(redis_url)
    yield client
    await client.aclose()


def event(version: int, session_id: UUID) -> bytes:
    return encode({"event_id": str(uuid4()), "session_id": str(session_id), "version": version})


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110 (what it waits for is in Valkey)
            await asyncio.sleep(0.01)


@asynccontextmanager
async def consuming(redis: ValkeyClient, outcome: Outcome, name: str = "one") -> AsyncIterator[list[Exception]]:
    """A consumer to whom every event is the same. Yields the errors of those that could not be applied."""
    errors: list[Exception] = []

    async def apply(payload: bytes) -> Outcome:
        if not payload:
            raise ValueError("nothing to apply")
        return outcome

    async def failed(key: str, payload: bytes, error: Exception) -> bool:
        errors.append(error)
        return True

    consumer = Consumer(
        redis, stream=STREAM, group=GROUP, name=name, apply=apply, failed=failed, confirmations=CONFIRMATIONS
    )
    task = asyncio.create_task(consumer.run())
    try:
        yield errors
        assert not task.done()
    finally:
        await stop([task])


async def unfinished(redis: ValkeyClient) -> tuple[int, int]:
    """How many entries are in the stream, and how many of them in somebody's hands."""
    summary: Any = await redis.xpending(STREAM, GROUP)
    return await redis.xlen(STREAM), summary["pending"]


@pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.DUPLICATE, Outcome.EARLY])
async def test_an_entry_is_gone_when_nobody_needs_it_any_more(
    redis: ValkeyClient, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HOLD_S", 0.05)
    await create_group(redis, STREAM, GROUP)
    session_id = uuid4()
    for version in range(300):
        await redis.xadd(STREAM, {"e": event(version, session_id)})

    async def all_gone() -> bool:
        return await unfinished(redis) == (0, 0)

    async with consuming(redis, outcome):
        await until(all_gone)
    assert await redis.xlen(CONFIRMATIONS) == (0 if outcome is Outcome.EARLY else 300)


async def test_pending_entries_that_a_full_stream_has_lost_are_no_dead_letters(redis: ValkeyClient) -> None:
    await create_group(redis, STREAM, GROUP)
    session_id = uuid4()
    ids = [await redis.xadd(STREAM, {"e": event(version, session_id)}) for version in range(3)]
    await redis.xreadgroup(GROUP, "one", {STREAM: ">"})
    await redis.xtrim(STREAM, minid=ids[2], approximate=False)

    async def all_gone() -> bool:
        return await unfinished(redis) == (0, 0)

    async with consuming(redis, Outcome.DONE) as errors:
        await until(all_gone)
    assert errors == []
    assert await redis.xlen(CONFIRMATIONS) == 1


async def test_confirmations_are_gone_when_they_were_read_by_whomever(redis: ValkeyClient, database_url: str) -> None:
    await create_group(redis, CONFIRMATIONS, GROUP)
    for _ in range(5):
        await redis.xadd(CONFIRMATIONS, {"e": encode(Confirmation(event_id=EventId(uuid4())))})
    await redis.xreadgroup(GROUP, "a-dead-reader", {CONFIRMATIONS: ">"}, count=3, noack=True)
    database = Database(database_url, "baton_points", pool_size=1)
    reader = Confirmations(redis, database, outbox, stream=CONFIRMATIONS, group=GROUP, name="another")
    task = asyncio.create_task(reader.run())

    async def all_gone() -> bool:
        return await redis.xlen(CONFIRMATIONS) == 0

    try:
        await until(all_gone)
        for _ in range(2):
            await redis.xadd(CONFIRMATIONS, {"e": b"no confirmation"})
        await until(all_gone)
    finally:
        await stop([task])
        await database.close()


async def test_members_that_are_gone_are_removed_unless_they_hold_something(redis: ValkeyClient) -> None:
    await create_group(redis, STREAM, GROUP)
    await redis.xgroup_createconsumer(STREAM, GROUP, "gone")
    await redis.xadd(STREAM, {"e": event(1, uuid4())})
    await redis.xreadgroup(GROUP, "died-at-work", {STREAM: ">"})
    members = [(STREAM, GROUP), ("baton:test:nowhere", GROUP), (STREAM, "no-such-group")]

    async def names() -> set[bytes]:
        return {consumer["name"] for consumer in await redis.xinfo_consumers(STREAM, GROUP)}

    assert await forget_gone(redis, members) == 0, "an hour has not gone by"
    await asyncio.sleep(0.002)
    async with consuming(redis, Outcome.DONE, name="alive"):

        async def is_there() -> bool:
            return b"alive" in await names()

        await until(is_there)
        await forget_gone(redis, members, gone_after_ms=BLOCK_MS * 5)
        assert await names() == {b"alive", b"gone", b"died-at-work"}
    await asyncio.sleep(0.002)
    assert await forget_gone(redis, members, gone_after_ms=1) == 2
    assert await names() == {b"died-at-work"}
