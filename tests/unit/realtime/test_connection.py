import asyncio
from collections.abc import AsyncIterator

import pytest

from contracts.ids import RoomSeq
from services.realtime import connection as module
from services.realtime.close_codes import Close
from services.realtime.connection import Connection
from tests.unit.realtime.fakes import FakeWire, batch, counted, ephemeral, event

KIB = 1024


@pytest.fixture
def wire() -> FakeWire:
    return FakeWire()


@pytest.fixture
async def connection(wire: FakeWire) -> AsyncIterator[Connection]:
    connection = Connection(wire, KIB)
    yield connection
    connection.lost()  # which ends its timer


def _paused() -> float:
    return counted("baton_paused_connections")


async def test_frames_are_written_in_order_and_then_the_close(wire: FakeWire, connection: Connection) -> None:
    connection.begin(RoomSeq(7), [event(0), event(7)])
    connection.deliver(batch(event(8)))
    connection.send(ephemeral("pong"))
    connection.deliver(batch(event(9), ephemeral("tick"), event(10)))
    connection.close(Close.FORBIDDEN)
    connection.deliver(batch(event(11)))
    connection.deliver(batch(ephemeral("late")))
    connection.send(ephemeral("later"))
    assert wire.texts == ["0", "7", "8", "pong", "9", "tick", "10"]
    assert wire.closed == (4503, "forbidden")


async def test_everybody_is_written_the_same_bytes(wire: FakeWire, connection: Connection) -> None:
    heard = batch(event(1), ephemeral("tick"))
    connection.begin(RoomSeq(0), [])
    connection.deliver(heard)
    assert wire.writes[-1] is heard.wire


async def test_events_that_the_client_has_are_skipped(wire: FakeWire, connection: Connection) -> None:
    connection.begin(RoomSeq(7), [])
    for seq in (5, 6, 7, 8, 8, 7, 9):
        connection.deliver(batch(event(seq)))
    connection.deliver(batch(event(8), ephemeral("tick"), event(9), event(10)))
    assert wire.texts == ["8", "9", "tick", "10"]


async def test_a_gap_is_never_written(wire: FakeWire, connection: Connection) -> None:
    connection.begin(RoomSeq(7), [])
    connection.deliver(batch(event(9), event(10)))
    assert (wire.texts, wire.closed) == ([], (4002, "sequence_lost"))


async def test_a_gap_is_not_written_to_a_client_that_is_slow_either(wire: FakeWire, connection: Connection) -> None:
    connection.begin(RoomSeq(7), [])
    connection.pause()
    connection.deliver(batch(event(8)))
    connection.deliver(batch(event(10)))
    assert (wire.texts, wire.closed) == (["8"], (4002, "sequence_lost"))


async def test_while_the_client_takes_nothing_all_waits_and_then_goes_in_one_piece(
    wire: FakeWire, connection: Connection
) -> None:
    connection.begin(RoomSeq(0), [])
    connection.pause()
    connection.deliver(batch(event(1), ephemeral("tick")))
    connection.deliver(batch(event(2)))
    connection.send(ephemeral("pong"))
    before = len(wire.writes)
    connection.resume()
    assert len(wire.writes) == before + 1
    connection.deliver(batch(event(3)))
    assert wire.texts == ["1", "tick", "2", "pong", "3"]


async def test_a_client_that_stops_again_and_again_misses_nothing(wire: FakeWire, connection: Connection) -> None:
    connection.begin(RoomSeq(0), [])
    for seq in range(1, 50, 2):
        connection.deliver(batch(event(seq)))
        connection.pause()
        connection.deliver(batch(event(seq + 1)))
        connection.resume()
    assert wire.texts == [str(seq) for seq in range(1, 51)]


async def test_ephemeral_messages_take_half_of_the_queue_at_most(wire: FakeWire, connection: Connection) -> None:
    connection.pause()
    for number in range(10):
        connection.deliver(batch(ephemeral(f"{number:<98}")))
    connection.resume()
    assert [int(text) for text in wire.texts] == list(range(5))


async def test_ephemeral_messages_make_room_for_events(wire: FakeWire, connection: Connection) -> None:
    connection.begin(RoomSeq(0), [])
    connection.pause()
    for number in range(5):
        connection.deliver(batch(ephemeral(f"tick {number:<93}")))
    for seq in range(1, 11):
        connection.deliver(batch(event(seq, size=98)))
    assert connection.closing is None
    connection.resume()
    assert [int(text) for text in wire.texts] == list(range(1, 11))


async def test_a_client_for_which_there_is_no_room_left_is_told_to_come_back(
    wire: FakeWire, connection: Connection
) -> None:
    connection.begin(RoomSeq(0), [])
    connection.pause()
    for seq in range(1, 20):
        connection.deliver(batch(event(seq, size=98)))
    assert connection.closing is Close.SLOW_CONSUMER
    assert (wire.texts, wire.closed) == ([], (4000, "slow_consumer"))
    connection.resume()
    assert wire.texts == []


async def test_what_is_queued_never_exceeds_its_limit(wire: FakeWire, connection: Connection) -> None:
    connection.begin(RoomSeq(0), [])
    connection.pause()
    largest = 0
    for seq in range(1, 1000):
        connection.deliver(batch(event(seq, size=seq % 60), ephemeral("y" * (seq % 50))))
        largest = max(largest, 0 if connection._backlog is None else connection._backlog.size)
    assert connection.closing is Close.SLOW_CONSUMER
    assert KIB // 2 < largest <= KIB
    assert connection._backlog is None


async def test_what_brings_a_client_up_to_date_is_not_held_against_its_limit(
    wire: FakeWire, connection: Connection
) -> None:
    connection.begin(RoomSeq(20), [event(seq, size=98) for seq in range(1, 21)])
    connection.pause()
    connection.deliver(batch(event(21)))
    assert connection.closing is None
    assert len(wire.texts) == 20


async def test_a_close_comes_behind_what_is_queued(wire: FakeWire, connection: Connection) -> None:
    connection.begin(RoomSeq(0), [])
    connection.pause()
    connection.deliver(batch(event(1)))
    connection.close(Close.SERVICE_RESTART)
    connection.resume()
    assert (wire.texts, wire.closed) == (["1"], (1012, "service_restart"))


async def test_a_client_that_takes_nothing_for_long_is_closed_however_little_waits(
    wire: FakeWire, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STALL_S", 0.05)
    before = _paused()
    connection.pause()
    connection.resume()
    connection.pause()
    connection.pause()
    assert (wire.closed, _paused()) == (None, before + 1)
    async with asyncio.timeout(10):
        await wire.closing.wait()
    assert (connection.closing, wire.closed) == (Close.SLOW_CONSUMER, (4000, "slow_consumer"))
    connection.lost()
    assert _paused() == before


async def test_a_client_that_goes_on_taking_has_its_time_again(
    wire: FakeWire, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STALL_S", 0.02)
    other_wire = FakeWire()
    other = Connection(other_wire, KIB)
    connection.pause()
    connection.resume()
    other.pause()
    async with asyncio.timeout(10):
        await other_wire.closing.wait()
    assert wire.closed is None
    other.lost()


@pytest.mark.parametrize("paused", [True, False])
async def test_nothing_is_written_when_the_client_has_gone(wire: FakeWire, *, paused: bool) -> None:
    connection = Connection(wire, KIB)
    connection.begin(RoomSeq(0), [])
    before = _paused()
    if paused:
        connection.pause()
        connection.deliver(batch(event(1)))
    connection.lost()
    wire.gone = True
    connection.begin(RoomSeq(0), [event(1)])
    connection.deliver(batch(event(1)))
    connection.deliver(batch(event(2), ephemeral("tick")))
    connection.deliver(batch(ephemeral("tick")))
    connection.send(event(3))
    connection.resume()
    connection.pause()
    connection.close(Close.SLOW_CONSUMER)
    assert (wire.texts, connection.closing, _paused()) == ([], None, before)


async def test_the_first_reason_to_close_counts(wire: FakeWire, connection: Connection) -> None:
    connection.close(Close.FORBIDDEN)
    connection.close(Close.SLOW_CONSUMER)
    connection.begin(RoomSeq(1), [event(1)])
    assert (wire.texts, wire.closed) == ([], (4503, "forbidden"))


async def test_closes_and_dropped_messages_are_counted(connection: Connection) -> None:
    def counts() -> tuple[float, float]:
        return counted("baton_closes_total", reason="slow_consumer"), counted("baton_dropped_ephemeral_total")

    closes, dropped = counts()
    connection.begin(RoomSeq(0), [])
    connection.pause()
    for _ in range(6):
        connection.deliver(batch(ephemeral("x" * 98)))
    for seq in range(1, 20):
        connection.deliver(batch(event(seq, size=98)))
    assert counts() == (closes + 1, dropped + 6)
