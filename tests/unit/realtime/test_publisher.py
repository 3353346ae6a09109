import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY
from redis.exceptions import ConnectionError as RedisConnectionError

from contracts.ids import SessionId
from services.kit.supervise import stop
from services.realtime.publisher import FRAMES_A_CALL, MOST_WAITING, Publisher

PATIENCE_S = 10.0
ROOM = SessionId(uuid4())


class FakeChannels:
    """Takes frames, when it may."""

    def __init__(self) -> None:
        self.calls: list[list[bytes]] = []
        self.called = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.error: Exception | None = None

    async def say(self, messages: Sequence[tuple[SessionId, bytes]]) -> None:
        assert {room for room, _ in messages} == {ROOM}
        self.calls.append([frame for _, frame in messages])
        self.called.set()
        await self.go_on.wait()
        if self.error is not None:
            raise self.error

    async def next(self) -> list[bytes]:
        async with asyncio.timeout(PATIENCE_S):
            await self.called.wait()
        self.called.clear()
        return self.calls[-1]


def dropped() -> float:
    return REGISTRY.get_sample_value("baton_unpublished_total") or 0


@asynccontextmanager
async def running(publisher: Publisher) -> AsyncIterator[None]:
    task = asyncio.create_task(publisher.run())
    yield
    await stop([task])


async def test_what_comes_while_a_call_is_under_way_goes_with_the_next() -> None:
    channels = FakeChannels()
    publisher = Publisher(channels)
    async with running(publisher):
        channels.go_on.clear()
        publisher.publish(ROOM, b"0")
        assert await channels.next() == [b"0"]
        for number in range(1, 101):
            publisher.publish(ROOM, b"%d" % number)
        channels.go_on.set()
        assert await channels.next() == [b"%d" % number for number in range(1, 101)]
    assert len(channels.calls) == 2


async def test_calls_are_of_a_bounded_size() -> None:
    channels = FakeChannels()
    publisher = Publisher(channels)
    for number in range(2 * FRAMES_A_CALL + 1):
        publisher.publish(ROOM, b"%d" % number)
    async with running(publisher):
        while len(channels.calls) < 3:
            await channels.next()
    assert [len(call) for call in channels.calls] == [FRAMES_A_CALL, FRAMES_A_CALL, 1]


async def test_no_more_than_so_many_wait() -> None:
    channels = FakeChannels()
    publisher = Publisher(channels)
    before = dropped()
    for number in range(MOST_WAITING + 7):
        publisher.publish(ROOM, b"%d" % number)
    assert dropped() == before + 7
    async with running(publisher):
        while sum(map(len, channels.calls)) < MOST_WAITING:
            await channels.next()
    assert channels.calls[-1][-1] == b"%d" % (MOST_WAITING - 1)


async def test_what_valkey_does_not_take_is_dropped_and_the_next_is_said() -> None:
    channels = FakeChannels()
    channels.error = RedisConnectionError("away")
    channels.go_on.clear()
    publisher = Publisher(channels)
    before = dropped()
    publisher.publish(ROOM, b"lost")
    publishing = asyncio.create_task(publisher.run())
    await channels.next()
    publisher.publish(ROOM, b"lost too")
    channels.go_on.set()
    with pytest.raises(RedisConnectionError):
        await publishing
    assert dropped() == before + 2
    channels.error = None
    publisher.publish(ROOM, b"said")
    async with running(publisher):
        assert await channels.next() == [b"said"]
