import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

from contracts.ids import RoomSeq
from services.kit import metrics
from services.realtime import stream as module
from services.realtime.close_codes import Close
from services.realtime.stream import CHUNK_BYTES, Stream
from tests.unit.realtime.fakes import batch, ephemeral, event

KIB = 1024


class Sent(NamedTuple):
    """One event of a stream, as its client reads it."""

    data: str
    id: str = ""
    event: str = "message"


def read(text: str) -> list[Sent | str]:
    """What a client makes of a stream; comments and hints as they are."""
    found: list[Sent | str] = []
    *blocks, rest = text.split("\n\n")
    assert rest == "", "the last event is not whole"
    for block in blocks:
        fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        found.append(Sent(**fields) if "data" in fields else block)
    return found


class Reading:
    """A client that reads a chunk when it is told to."""

    def __init__(self, stream: Stream) -> None:
        self._chunks = stream.chunks("e1")

    async def next(self) -> list[Sent | str]:
        async with asyncio.timeout(5):
            return read((await anext(self._chunks)).decode())

    async def rest(self) -> list[Sent | str]:
        """All up to the end of the stream."""
        async with asyncio.timeout(5):
            return read("".join([chunk.decode() async for chunk in self._chunks]))

    async def close(self) -> None:
        await self._chunks.aclose()  # type: ignore[attr-defined]  # it is a generator


@pytest.fixture
def stream() -> Stream:
    return Stream(KIB)


@pytest.fixture
async def client(stream: Stream) -> AsyncIterator[Reading]:
    reading = Reading(stream)
    yield reading
    await reading.close()


def numbered(seq: int) -> Sent:
    return Sent(str(seq), f"e1:{seq}")


async def test_what_has_a_number_has_an_id_to_come_back_with(stream: Stream, client: Reading) -> None:
    stream.begin(RoomSeq(7), [ephemeral("welcome"), event(7)])
    assert await client.next() == ["retry: 1000", Sent("welcome"), numbered(7)]
    stream.deliver(batch(event(8), ephemeral("tick"), event(9)))
    assert await client.next() == [numbered(8), Sent("tick"), numbered(9)]


async def test_what_came_while_the_client_did_not_read_comes_in_one_piece_before_the_close(
    stream: Stream, client: Reading
) -> None:
    stream.begin(RoomSeq(0), [])
    await client.next()
    stream.deliver(batch(event(1)))
    stream.deliver(batch(ephemeral("tick"), event(2)))
    stream.close(Close.SERVICE_RESTART)
    stream.deliver(batch(event(3)))
    stream.close(Close.FORBIDDEN)
    end = Sent('{"code":1012,"reason":"service_restart"}', event="close")
    assert await client.rest() == [numbered(1), Sent("tick"), numbered(2), end]


async def test_events_that_the_client_has_are_skipped(stream: Stream, client: Reading) -> None:
    stream.begin(RoomSeq(7), [])
    for seq in (5, 7, 8, 8, 7, 9):
        stream.deliver(batch(event(seq)))
    stream.deliver(batch(event(9), event(10)))
    await client.next()
    assert await client.next() == [numbered(8), numbered(9), numbered(10)]


async def test_a_gap_is_never_told(stream: Stream, client: Reading) -> None:
    stream.begin(RoomSeq(7), [])
    stream.deliver(batch(event(8), event(10), event(11)))
    await client.next()
    end = Sent('{"code":4002,"reason":"sequence_lost"}', event="close")
    assert await client.rest() == [numbered(8), end]


async def test_ephemeral_messages_take_half_of_what_may_wait_and_make_room_for_events(
    stream: Stream, client: Reading
) -> None:
    stream.begin(RoomSeq(0), [])
    before = metrics.dropped_ephemeral._value.get()
    for number in range(10):
        stream.deliver(batch(ephemeral(f"{number:<98}")))
    assert metrics.dropped_ephemeral._value.get() == before + 5
    for seq in range(1, 11):
        stream.deliver(batch(event(seq, size=98)))
    assert stream.closing is None
    await client.next()
    assert [sent.id for sent in await client.next() if isinstance(sent, Sent)] == [f"e1:{seq}" for seq in range(1, 11)]


async def test_a_client_for_which_there_is_no_room_left_is_told_to_come_back(stream: Stream, client: Reading) -> None:
    stream.begin(RoomSeq(0), [])
    for seq in range(1, 30):
        stream.deliver(batch(event(seq, size=98)))
    assert stream.closing is Close.SLOW_CONSUMER
    assert await client.rest() == ["retry: 1000", Sent('{"code":4000,"reason":"slow_consumer"}', event="close")]


async def test_what_brings_a_client_up_to_date_is_not_held_against_its_limit(stream: Stream, client: Reading) -> None:
    stream.begin(RoomSeq(20), [event(seq, size=98) for seq in range(1, 21)])
    stream.deliver(batch(event(21)))
    assert stream.closing is None
    assert len(await client.next()) == 21
    assert await client.next() == [numbered(21)]


async def test_much_is_handed_over_in_bounded_pieces() -> None:
    stream = Stream(10 * CHUNK_BYTES)
    client = Reading(stream)
    stream.begin(RoomSeq(0), [])
    await client.next()
    for seq in range(1, 51):
        stream.deliver(batch(event(seq, size=CHUNK_BYTES // 10)))
    sizes: list[int] = []
    while sum(sizes) < 50:
        sizes.append(len(await client.next()))
    assert max(sizes) <= 11
    await client.close()


async def test_a_stream_on_which_nothing_happens_is_kept_alive(
    stream: Stream, client: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.01)
    stream.begin(RoomSeq(0), [])
    await client.next()
    assert await client.next() == [": ping"]
    stream.deliver(batch(event(1)))
    assert await client.next() == [numbered(1)]


async def test_a_stream_whose_client_has_gone_ends_without_a_word(stream: Stream, client: Reading) -> None:
    stream.begin(RoomSeq(0), [])
    await client.next()
    stream.deliver(batch(event(1)))
    stream.lost()
    stream.deliver(batch(event(2)))
    stream.close(Close.SERVICE_RESTART)
    assert stream.closing is None
    assert await client.rest() == []
