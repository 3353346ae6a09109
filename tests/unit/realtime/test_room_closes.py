"""Whom a room sends away: those of another epoch, and those who have left."""

import json
from uuid import uuid4

from contracts.frames import encode_event
from contracts.ids import PlayerId, RoomSeq
from contracts.rooms import PlayerEliminated, PlayerLeft
from services.realtime.close_codes import Close
from services.realtime.room import Room
from tests.unit.realtime.members import SOMEBODY, at, enter, events, hear, say


def test_another_epoch_makes_all_members_come_back(room: Room) -> None:
    old = enter(room, at(30))
    hear(room, 31)
    new = enter(room, at(3, "restored"))
    say(room, 4)
    assert (old.closed, old.heard) == (Close.SEQUENCE_LOST, [])
    assert (new.closed, new.heard) == (None, events(4, 4))


def test_a_room_that_is_gone_sends_everybody_away_and_starts_where_the_next_one_is(room: Room) -> None:
    old = enter(room, at(30))
    hear(room, 32)
    room.restart(None)
    assert (old.closed, room.position, room.age(), room.is_behind) == (Close.SEQUENCE_LOST, None, True, False)
    new = enter(room, at(2))
    say(room, 3)
    assert new.heard == ["3"]


def test_who_leaves_the_lobby_is_closed_after_being_told_on_every_socket(room: Room) -> None:
    leaving, staying = PlayerId(uuid4()), PlayerId(uuid4())
    here, there, other = (enter(room, at(3), player_id) for player_id in (leaving, leaving, staying))
    left = encode_event(RoomSeq(4), 1, PlayerLeft(player_id=leaving))
    room.receive(b"4 " + left)
    hear(room, 5)
    room.flush()
    assert [member.closed for member in (here, there, other)] == [Close.LEFT, Close.LEFT, None]
    assert here.heard == other.heard == [left.decode(), "5"]


def test_nobody_is_closed_by_what_somebody_says_or_by_another_fact(room: Room) -> None:
    members = [enter(room, at(3), SOMEBODY)]
    left = encode_event(RoomSeq(4), 1, PlayerLeft(player_id=SOMEBODY))
    room.receive(b"0 " + left)
    room.receive(b"4 " + encode_event(RoomSeq(4), 1, PlayerEliminated(player_id=SOMEBODY, eliminated_at=1)))
    # Somebody's words, however long the way to them.
    room.receive(b"5 " + json.dumps({"seq": 5, "type": "x", "data": {"text": '"type":"player.left"'}}).encode())
    room.receive(b"6 " + json.dumps({"seq": 6, "type": "x", "data": left.decode()}).encode())
    room.flush()
    assert [member.closed for member in members] == [None]


def test_a_seq_of_any_length_leaves_the_type_of_an_event_visible(room: Room) -> None:
    last = 10**15
    member = enter(room, at(last - 1))
    room.receive(b"%d %b" % (last, encode_event(RoomSeq(last), 1, PlayerLeft(player_id=SOMEBODY))))
    room.flush()
    assert member.closed is Close.LEFT
