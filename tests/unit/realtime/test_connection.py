import asyncio

import pytest

from contracts.ids import RoomSeq
from services.realtime.close_codes import Close
from services.realtime.connection import Connection, Frame, SocketGoneError

KIB = 1024


class FakeSocket:
    """A client that reads only while it is willing to."""

    def __init__(self, *, willing: bool = True) -> None:
        self.sent: list[str] = []
        self.closed: tuple[int, str] | None = None
        self.gone = False
        self.willing = asyncio.Event()
        if willing:
            self.willing.set()

    async def send(self, text: str) -> None:
        await self.willing.wait()
        if self.gone:
            raise SocketGoneError
        self.sent.append(text)

    async def close(self, code: int, reason: str) -> None:
        await self.willing.wait()
        self.closed = code, reason


def _frame(text: str, size: int = 10, *, ephemeral: bool = False) -> Frame:
    return Frame(text, size, ephemeral)


async def test_frames_are_written_in_order_and_then_the_close() -> None:
    socket = FakeSocket()
    connection = Connection(socket, KIB)
    connection.begin(RoomSeq(7), [_frame("welcome"), _frame("snapshot")])
    connection.event(RoomSeq(8), _frame("eight"))
    writing = asyncio.create_task(connection.write())
    connection.send(_frame("pong"))
    connection.event(RoomSeq(9), _frame("nine"))
    connection.close(Close.FORBIDDEN)
    connection.event(RoomSeq(10), _frame("ten"))
    await writing
    assert socket.sent == ["welcome", "snapshot", "eight", "pong", "nine"]
    assert socket.closed == (4503, "forbidden")


async def test_events_that_the_client_has_are_skipped() -> None:
    socket = FakeSocket()
    connection = Connection(socket, KIB)
    connection.begin(RoomSeq(7), [])
    for seq in (5, 6, 7, 8, 8, 7, 9):
        connection.event(RoomSeq(seq), _frame(str(seq)))
    connection.close(Close.SERVICE_RESTART)
    await connection.write()
    assert socket.sent == ["8", "9"]


async def test_a_gap_is_never_written() -> None:
    socket = FakeSocket()
    connection = Connection(socket, KIB)
    connection.begin(RoomSeq(7), [])
    connection.event(RoomSeq(9), _frame("nine"))
    await connection.write()
    assert (socket.sent, socket.closed) == ([], (4002, "sequence_lost"))


async def test_ephemeral_messages_take_half_of_the_queue_at_most() -> None:
    socket = FakeSocket()
    connection = Connection(socket, KIB)
    for number in range(10):
        connection.ephemeral(_frame(f"tick {number}", 100, ephemeral=True))
    connection.close(Close.SERVICE_RESTART)
    connection.ephemeral(_frame("late", 1, ephemeral=True))
    await connection.write()
    assert socket.sent == [f"tick {number}" for number in range(5)]


async def test_ephemeral_messages_make_room_for_events() -> None:
    socket = FakeSocket()
    connection = Connection(socket, KIB)
    for number in range(5):
        connection.ephemeral(_frame(f"tick {number}", 100, ephemeral=True))
    for seq in range(1, 11):
        connection.event(RoomSeq(seq), _frame(str(seq), 100))
    assert connection.closing is None
    connection.close(Close.SERVICE_RESTART)
    await connection.write()
    assert socket.sent == [str(seq) for seq in range(1, 11)]


async def test_a_client_for_which_there_is_no_room_left_is_told_to_come_back() -> None:
    socket = FakeSocket(willing=False)
    connection = Connection(socket, KIB)
    writing = asyncio.create_task(connection.write())
    for seq in range(1, 20):
        connection.event(RoomSeq(seq), _frame(str(seq), 100))
    assert connection.closing is Close.SLOW_CONSUMER
    socket.willing.set()
    await writing
    assert socket.closed == (4000, "slow_consumer")
    assert socket.sent == []


async def test_a_client_that_never_reads_is_given_up() -> None:
    socket = FakeSocket(willing=False)
    connection = Connection(socket, KIB, close_timeout_s=0.01)
    writing = asyncio.create_task(connection.write())
    connection.send(_frame("hello"))
    await asyncio.sleep(0)
    connection.close(Close.SEQUENCE_LOST)
    await writing
    assert socket.closed is None


async def test_a_close_before_the_first_write_has_its_time_too() -> None:
    connection = Connection(FakeSocket(willing=False), KIB, close_timeout_s=0.01)
    connection.close(Close.INVALID_TOKEN)
    await connection.write()


@pytest.mark.parametrize("reads", [True, False])
async def test_writing_ends_when_the_client_has_gone(*, reads: bool) -> None:
    socket = FakeSocket(willing=reads)
    socket.gone = True
    connection = Connection(socket, KIB)
    writing = asyncio.create_task(connection.write())
    connection.send(_frame("hello"))
    await asyncio.sleep(0)
    connection.end()
    socket.willing.set()
    await writing
    assert socket.sent == []
    assert socket.closed is None


async def test_writing_ends_when_there_is_nothing_more_to_say() -> None:
    connection = Connection(FakeSocket(), KIB)
    writing = asyncio.create_task(connection.write())
    await asyncio.sleep(0)
    connection.end()
    await writing


async def test_the_first_reason_to_close_counts() -> None:
    socket = FakeSocket()
    connection = Connection(socket, KIB)
    connection.close(Close.FORBIDDEN)
    connection.close(Close.SLOW_CONSUMER)
    connection.begin(RoomSeq(1), [_frame("late")])
    await connection.write()
    assert (socket.sent, socket.closed) == ([], (4503, "forbidden"))
