"""Who joins a room is told all that has come since the reading, or has to read again."""

from uuid import uuid4

from contracts.frames import encode_event
from contracts.ids import PlayerId, RoomSeq
from contracts.rooms import PlayerLeft
from services.realtime.room import KEEP_TURNS, RECENT_EVENTS, Room
from tests.unit.realtime.fakes import event
from tests.unit.realtime.members import SOMEBODY, Listening, at, enter, events, hear, say


def _seq_of(room: Room) -> int:
    assert room.position is not None
    return room.position.seq


def test_who_joins_is_told_what_came_between_the_reading_and_the_entry(room: Room) -> None:
    enter(room, at(3))
    member = Listening()
    with room.joining():
        say(room, 4, 5)
        hear(room, 6)
        assert room.admit(member, SOMEBODY, at(4), [event(4)])
    say(room, 7)
    assert member.heard == events(4, 7)


def test_who_read_more_than_the_room_has_heard_skips_it(room: Room) -> None:
    early = enter(room, at(3))
    member = enter(room, at(5))
    say(room, 4, 5, 6)
    assert (early.heard, member.heard) == (events(4, 6), events(6, 6))


def test_a_reading_from_before_the_join_is_not_good_enough(room: Room) -> None:
    enter(room, at(3))
    for _ in range(KEEP_TURNS):
        room.age()
    say(room, 4, 5)
    member = Listening()
    with room.joining():
        say(room, 6)
        assert not room.admit(member, SOMEBODY, at(4), [])
        assert room.admit(member, SOMEBODY, at(5), [])
    assert (member.heard, len(room.members)) == (events(6, 6), 2)


def test_for_a_while_after_a_join_its_reading_serves_others(room: Room) -> None:
    enter(room, at(3))
    for _ in range(KEEP_TURNS - 1):
        say(room, _seq_of(room) + 1)
        room.age()
    with room.joining():
        room.age()
    member = Listening()
    assert room.admit(member, SOMEBODY, at(3), [])
    assert member.heard == events(4, 5)
    for _ in range(KEEP_TURNS):
        room.age()
    assert (room._recent, room.reading) == ([], None)
    assert not room.admit(Listening(), SOMEBODY, at(3), [])


def test_what_is_kept_for_joins_is_bounded(room: Room) -> None:
    with room.joining():
        assert room.admit(Listening(), SOMEBODY, at(0), [])
        say(room, *range(1, 3 * RECENT_EVENTS))
        assert len(room._recent) == RECENT_EVENTS
        assert not room.admit(Listening(), SOMEBODY, at(2 * RECENT_EVENTS - 2), [])
        assert room.admit(Listening(), SOMEBODY, at(2 * RECENT_EVENTS - 1), [])


def test_the_first_member_is_told_what_was_heard_before_the_position_was_known(room: Room, gaps: list[Room]) -> None:
    member = Listening()
    with room.joining():
        say(room, 3, 4, 5, 7)
        assert gaps == []
        assert room.admit(member, SOMEBODY, at(3), [])
    room.flush()
    assert (member.heard, gaps) == (events(4, 5), [room])


def test_who_has_left_since_the_reading_is_not_admitted_by_it(room: Room) -> None:
    enter(room, at(3))
    leaving, member = PlayerId(uuid4()), Listening()
    with room.joining():
        room.receive(b"4 " + encode_event(RoomSeq(4), 1, PlayerLeft(player_id=leaving)))
        assert not room.admit(member, leaving, at(3), [])
        room.flush()
        assert not room.admit(member, leaving, at(3), [])
        assert (member.heard, len(room.members)) == ([], 1)
        assert room.admit(member, SOMEBODY, at(3), [])
