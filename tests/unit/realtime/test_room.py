"""A room gives its members each event once and in order, whatever it is told."""

import pytest

from contracts.ids import RoomSeq
from services.realtime.room import HELD_EVENTS, Room
from tests.unit.realtime.members import at, enter, events, hear, log, say


def test_everybody_hears_each_event_once_and_the_same_batch_object(room: Room, gaps: list[Room]) -> None:
    one, two = enter(room, at(3)), enter(room, at(3))
    say(room, 4, 5, 5, 4)
    say(room, 6)
    assert one.heard == two.heard == events(4, 6)
    assert [(batch.after, batch.last) for batch in one.batches] == [(3, 5), (5, 6)]
    assert all(a is b for a, b in zip(one.batches, two.batches, strict=True))
    assert gaps == []


def test_what_is_heard_before_the_flush_is_delivered_together(room: Room, dirty: list[Room]) -> None:
    members = [enter(room, at(3)) for _ in range(4)]
    hear(room, 4, 5)
    room.receive(b"0 tick")
    hear(room, 6)
    assert (dirty, members[0].heard) == ([room], [])
    assert room.flush() == 4 * len(members)
    assert (members[0].heard, members[0].said, len(members[0].batches)) == (events(4, 6), ["tick"], 1)
    assert room.flush() == 0
    hear(room, 7)
    assert dirty == [room, room]


def test_ephemeral_messages_have_no_place_in_the_sequence(room: Room) -> None:
    member = enter(room, at(3))
    room.receive(b"0 a tick")
    say(room, 4)
    assert (member.said, member.heard) == (["a tick"], events(4, 4))


def test_an_ephemeral_message_may_tell_the_position_and_a_higher_one_is_a_gap(room: Room, gaps: list[Room]) -> None:
    member = enter(room, at(3))
    room.receive(b"=3 a tick")
    room.receive(b"=2 an older one")
    assert (gaps, room.is_behind) == ([], False)
    room.receive(b"=5 a newer one")
    assert (gaps, room.is_behind) == ([room], True)
    room.flush()
    assert (member.said, member.heard) == (["a tick", "an older one", "a newer one"], [])
    assert room.catch_up("e", log(4, 5)) == 2
    room.flush()
    assert (member.heard, room.is_behind) == (events(4, 5), False)


@pytest.mark.parametrize("payload", [b"", b"x y", b"-1 y", b"1.5 y", b"\xb2 y", b"= y", b"=x y", b"==1 y"])
def test_an_unreadable_message_changes_nothing(room: Room, dirty: list[Room], payload: bytes) -> None:
    member = enter(room, at(0))
    room.receive(payload)
    assert (member.heard, member.said, room.position, dirty) == ([], [], at(0), [])


def test_behind_a_gap_everything_is_held_back_until_it_is_filled(room: Room, gaps: list[Room]) -> None:
    member = enter(room, at(3))
    say(room, 5, 6)
    assert (member.heard, gaps, room.is_behind) == ([], [room, room], True)
    assert room.catch_up("e", log(4, 5)) == 3
    room.flush()
    assert (member.heard, room.is_behind) == (events(4, 6), False)


def test_ephemeral_messages_pass_a_gap(room: Room) -> None:
    member = enter(room, at(3))
    hear(room, 5)
    room.receive(b"0 tick")
    room.flush()
    assert (member.heard, member.said) == ([], ["tick"])


def test_more_than_is_held_back_is_left_to_the_log(room: Room) -> None:
    member = enter(room, at(0))
    last = 2 * HELD_EVENTS
    say(room, *range(2, last + 1))
    assert room.catch_up("e", log(1, 1)) == HELD_EVENTS + 1
    assert room.is_behind
    room.catch_up("e", log(HELD_EVENTS, last))
    room.flush()
    assert (member.heard, room.is_behind) == (events(1, last), False)


def test_what_a_repair_has_overtaken_is_not_held_for_ever(room: Room) -> None:
    enter(room, at(0))
    say(room, 3, 5)
    room.catch_up("e", log(1, 9))
    assert (room.position, room.is_behind, room._held) == (at(9), False, {})


def test_a_position_further_on_is_a_gap_too(room: Room, gaps: list[Room]) -> None:
    enter(room, at(3))
    room.expect(RoomSeq(3))
    assert gaps == []
    room.expect(RoomSeq(4))
    assert gaps == [room]


def test_what_another_epoch_says_fills_no_gap(room: Room) -> None:
    member = enter(room, at(3))
    assert room.catch_up("another", log(4, 9)) == 0
    room.flush()
    assert member.heard == []
