from collections.abc import Callable
from uuid import uuid4

import pytest

from contracts.ids import PlayerId, RoomSeq, SessionId
from services.realtime.audience import Member
from services.realtime.connection import Connection
from services.realtime.hub import Hub
from services.realtime.reading import Position
from services.realtime.room import Room
from tests.unit.realtime.fakes import FakeWire, counted


@pytest.fixture
def soon() -> list[Callable[[], None]]:
    """What is to run when the present turn of the loop is over."""
    return []


@pytest.fixture
def hub(soon: list[Callable[[], None]]) -> Hub:
    return Hub(lambda _: None, soon.append)


def _enter(room: Room, member: Member, seq: int = 0) -> None:
    with room.joining():
        assert room.admit(member, PlayerId(uuid4()), Position("e", RoomSeq(seq)), [])


def _client(room: Room) -> FakeWire:
    wire = FakeWire()
    _enter(room, Connection(wire, 1024))
    wire.writes.clear()
    return wire


def _turn(soon: list[Callable[[], None]]) -> None:
    """The end of a turn of the loop."""
    due = list(soon)
    soon.clear()
    for call in due:
        call()


def test_what_is_heard_in_one_turn_is_written_at_once_room_by_room(hub: Hub, soon: list[Callable[[], None]]) -> None:
    rooms = [hub.room(SessionId(uuid4())) for _ in range(2)]
    here, there = (_client(room) for room in rooms)
    before = counted("baton_deliveries_total")
    for seq in (1, 2):
        for room in rooms:
            room.receive(b"%d %d" % (seq, seq))
    assert (here.writes, there.writes, len(soon)) == ([], [], 1)
    _turn(soon)
    assert here.writes == there.writes == [b"\x81\x011\x81\x012"]
    assert soon == []
    hub.age(now=0, linger_s=60)
    assert counted("baton_deliveries_total") == before + 4
    rooms[0].receive(b"3 3")
    assert len(soon) == 1
    _turn(soon)
    assert (here.texts, there.texts) == (["1", "2", "3"], ["1", "2"])


def test_what_is_heard_while_it_holds_is_written_by_the_flush(hub: Hub, soon: list[Callable[[], None]]) -> None:
    room = hub.room(SessionId(uuid4()))
    client = _client(room)
    hub.hold()
    for seq in (1, 2):
        room.receive(b"%d %d" % (seq, seq))
    assert (client.writes, soon) == ([], [])
    hub.flush()
    assert client.writes == [b"\x81\x011\x81\x012"]
    room.receive(b"3 3")
    assert len(soon) == 1


def test_a_room_that_fails_makes_no_other_wait(
    hub: Hub, soon: list[Callable[[], None]], capsys: pytest.CaptureFixture[str]
) -> None:
    bad, good = hub.room(SessionId(uuid4())), hub.room(SessionId(uuid4()))
    broken = FakeWire()
    _enter(bad, Connection(broken, 1024))
    client = _client(good)
    broken.gone = True  # nobody said so: this wire breaks its promise never to raise
    bad.receive(b"1 1")
    good.receive(b"1 1")
    _turn(soon)
    assert client.texts == ["1"]
    assert "room_not_flushed" in capsys.readouterr().out
    good.receive(b"2 2")
    _turn(soon)
    assert client.texts == ["1", "2"]


def test_a_session_has_one_room(hub: Hub) -> None:
    session_id = SessionId(uuid4())
    assert hub.room(session_id) is hub.room(session_id)
    assert hub.room(session_id) is not hub.room(SessionId(uuid4()))
    assert len(list(hub)) == 2


def test_a_room_is_closed_when_it_has_been_empty_for_long_enough(hub: Hub) -> None:
    open_before = counted("baton_rooms_open")
    room = hub.room(SessionId(uuid4()))
    member = Connection(FakeWire(), 1024)
    _enter(room, member, seq=1)
    assert hub.age(0.0, 5.0) == []
    assert hub.age(6.0, 5.0) == []
    room.leave(member)
    assert hub.age(10.0, 5.0) == []
    with room.joining():
        assert hub.age(20.0, 5.0) == []
    assert hub.age(21.0, 5.0) == []
    assert counted("baton_rooms_open") == open_before + 1
    assert hub.age(26.0, 5.0) == [room]
    assert (list(hub), counted("baton_rooms_open")) == ([], open_before)
    assert hub.room(room.session_id) is not room


def test_while_a_room_lingers_who_comes_back_finds_it(hub: Hub) -> None:
    room = hub.room(SessionId(uuid4()))
    assert hub.age(0.0, 5.0) == []
    _enter(room, Connection(FakeWire(), 1024))
    assert hub.age(5.0, 5.0) == []
    assert hub.room(room.session_id) is room


def test_rooms_forget_what_they_keep_for_joins(hub: Hub, soon: list[Callable[[], None]]) -> None:
    room = hub.room(SessionId(uuid4()))
    _client(room)
    room.receive(b"1 1")
    _turn(soon)
    assert room._recent
    for now in range(10):
        hub.age(float(now), 100.0)
    assert not room._recent
