from collections.abc import Iterable
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.ids import RoomSeq, SessionId
from services.realtime.close_codes import Close
from services.realtime.connection import Frame
from services.realtime.hub import HELD_EVENTS, Hub, Position, Room


class Listening:
    """A member that remembers, and that has the connection's rule: skip what you have, take the next."""

    def __init__(self) -> None:
        self.seq = RoomSeq(0)
        self.heard: list[str] = []
        self.said: list[str] = []
        self.closed: Close | None = None

    def begin(self, seq: RoomSeq, frames: Iterable[Frame]) -> None:
        self.seq = seq
        self.heard += [frame.text for frame in frames]

    def event(self, seq: RoomSeq, frame: Frame) -> None:
        if seq <= self.seq:
            return
        assert seq == self.seq + 1
        self.seq = seq
        self.heard.append(frame.text)

    def ephemeral(self, frame: Frame) -> None:
        self.said.append(frame.text)

    def close(self, close: Close) -> None:
        self.closed = close


def _at(seq: int, epoch: str = "e") -> Position:
    return Position(epoch, RoomSeq(seq))


def _say(room: Room, *seqs: int) -> None:
    for seq in seqs:
        room.receive(f"{seq} event {seq}".encode())


def _events(first: int, last: int) -> list[str]:
    return [f"event {seq}" for seq in range(first, last + 1)]


def _log(first: int, last: int) -> list[tuple[RoomSeq, bytes]]:
    return [(RoomSeq(seq), f"event {seq}".encode()) for seq in range(first, last + 1)]


@pytest.fixture
def gaps() -> list[Room]:
    return []


@pytest.fixture
def room(gaps: list[Room]) -> Room:
    return Room(SessionId(uuid4()), gaps.append)


def _enter(room: Room, position: Position) -> Listening:
    member = Listening()
    with room.joining():
        assert room.admit(member, position, [])
    return member


def test_everybody_hears_each_event_once_and_the_same_text_object(room: Room, gaps: list[Room]) -> None:
    one, two = _enter(room, _at(3)), _enter(room, _at(3))
    _say(room, 4, 5, 5, 4, 6)
    assert one.heard == two.heard == _events(4, 6)
    assert all(a is b for a, b in zip(one.heard, two.heard, strict=True))
    assert gaps == []


def test_ephemeral_messages_have_no_place_in_the_sequence(room: Room) -> None:
    member = _enter(room, _at(3))
    room.receive(b"0 a tick")
    _say(room, 4)
    assert (member.said, member.heard) == (["a tick"], _events(4, 4))


@pytest.mark.parametrize("payload", [b"", b"x y", b"-1 y", b"1.5 y"])
def test_an_unreadable_message_changes_nothing(room: Room, payload: bytes) -> None:
    member = _enter(room, _at(0))
    room.receive(payload)
    assert (member.heard, member.said, room.position) == ([], [], _at(0))


def test_behind_a_gap_everything_is_held_back_until_it_is_filled(room: Room, gaps: list[Room]) -> None:
    member = _enter(room, _at(3))
    _say(room, 5, 6)
    assert (member.heard, gaps, room.is_behind) == ([], [room, room], True)
    assert room.catch_up("e", _log(4, 5)) == 3
    assert (member.heard, room.is_behind) == (_events(4, 6), False)


def test_more_than_is_held_back_is_left_to_the_log(room: Room) -> None:
    member = _enter(room, _at(0))
    last = 2 * HELD_EVENTS
    _say(room, *range(2, last + 1))
    assert room.catch_up("e", _log(1, 1)) == HELD_EVENTS + 1
    assert room.is_behind
    room.catch_up("e", _log(HELD_EVENTS, last))
    assert (member.heard, room.is_behind) == (_events(1, last), False)


def test_a_position_further_on_is_a_gap_too(room: Room, gaps: list[Room]) -> None:
    _enter(room, _at(3))
    room.expect(RoomSeq(3))
    assert gaps == []
    room.expect(RoomSeq(4))
    assert gaps == [room]


def test_what_another_epoch_says_fills_no_gap(room: Room) -> None:
    member = _enter(room, _at(3))
    assert room.catch_up("another", _log(4, 9)) == 0
    assert member.heard == []


def test_who_joins_is_told_what_came_between_the_reading_and_the_entry(room: Room) -> None:
    _enter(room, _at(3))
    member = Listening()
    with room.joining():
        _say(room, 4, 5, 6)
        assert room.admit(member, _at(4), [Frame("snapshot at 4", 1)])
    _say(room, 7)
    assert member.heard == ["snapshot at 4", *_events(5, 7)]


def test_who_read_more_than_the_room_has_heard_skips_it(room: Room) -> None:
    early = _enter(room, _at(3))
    member = _enter(room, _at(5))
    _say(room, 4, 5, 6)
    assert (early.heard, member.heard) == (_events(4, 6), _events(6, 6))


def test_a_reading_from_before_the_join_is_not_good_enough(room: Room) -> None:
    _enter(room, _at(3))
    _say(room, 4, 5)
    member = Listening()
    with room.joining():
        _say(room, 6)
        assert not room.admit(member, _at(4), [])
        assert room.admit(member, _at(5), [])
    assert member.heard == _events(6, 6)


def test_the_first_member_is_told_what_was_heard_before_the_position_was_known(room: Room, gaps: list[Room]) -> None:
    member = Listening()
    with room.joining():
        _say(room, 3, 4, 5, 7)
        assert gaps == []
        assert room.admit(member, _at(3), [])
    assert (member.heard, gaps) == (_events(4, 5), [room])


def test_another_epoch_makes_all_members_come_back(room: Room) -> None:
    old = _enter(room, _at(30))
    new = _enter(room, _at(3, "restored"))
    _say(room, 4)
    assert (old.closed, old.heard) == (Close.SEQUENCE_LOST, [])
    assert (new.closed, new.heard) == (None, _events(4, 4))


def test_a_room_is_closed_when_it_has_been_empty_for_long_enough() -> None:
    hub = Hub(lambda _: None)
    room = hub.room(SessionId(uuid4()))
    member = _enter(room, _at(1))
    assert hub.room(room.session_id) is room
    assert hub.close_empty(0.0, 5.0) == []
    room.members.discard(member)
    assert hub.close_empty(10.0, 5.0) == []
    with room.joining():
        assert hub.close_empty(20.0, 5.0) == []
    assert hub.close_empty(21.0, 5.0) == []
    assert hub.close_empty(26.0, 5.0) == [room]
    assert list(hub) == []
    assert hub.room(room.session_id) is not room


@given(st.data())
def test_whatever_is_lost_doubled_or_swapped_every_member_hears_all_in_order(data: st.DataObject) -> None:
    """The log grows; messages come as they like; members join at any reading; a repair reads the log up to its end."""
    room = Room(SessionId(uuid4()), lambda _: None)
    end = 0
    pending: list[int] = []
    members: list[tuple[int, Listening]] = []
    with room.joining():
        for step in data.draw(
            st.lists(st.sampled_from(["event", "event", "hear", "lose", "join", "repair"]), max_size=60)
        ):
            if step == "event":
                end += 1
                pending += [end] * data.draw(st.integers(1, 2))
            elif step == "hear" and pending:
                _say(room, pending.pop(data.draw(st.integers(0, len(pending) - 1))))
            elif step == "lose" and pending:
                pending.pop(data.draw(st.integers(0, len(pending) - 1)))
            elif step == "join":
                member = Listening()
                reading = data.draw(st.integers(max(0, end - 3), end))
                if room.admit(member, _at(reading), []):
                    members.append((reading, member))
            elif step == "repair" and room.position is not None:
                room.catch_up("e", _log(room.position.seq + 1, end))
        if room.position is not None:
            room.catch_up("e", _log(room.position.seq + 1, end))
    for reading, member in members:
        assert (member.heard, member.closed) == (_events(reading + 1, end), None)
