from uuid import uuid4

from contracts.ids import PlayerId, RoomSeq
from contracts.rooms import Status
from services.realtime.reading import Position, Reading


def _reading(*log: int, seq: int) -> Reading:
    return Reading(Position("e", RoomSeq(seq)), b"{}", [(RoomSeq(event), b"%d" % event) for event in log])


def test_exactly_what_was_missed_is_found_or_nothing() -> None:
    assert _reading(3, 4, 5, seq=5).since(RoomSeq(3)) == [(4, b"4"), (5, b"5")]
    assert _reading(3, 4, 5, seq=5).since(RoomSeq(5)) == []
    assert _reading(seq=5).since(RoomSeq(5)) == []
    assert _reading(4, 5, seq=5).since(RoomSeq(2)) is None
    assert _reading(3, 5, seq=5).since(RoomSeq(2)) is None
    assert _reading(3, 4, seq=5).since(RoomSeq(2)) is None


def test_a_reading_reaches_what_is_not_ahead_of_it() -> None:
    reading = _reading(seq=5)
    assert reading.reaches(Position("e", RoomSeq(5)))
    assert not reading.reaches(Position("e", RoomSeq(6)))
    assert reading.reaches(Position("another life", RoomSeq(6)))


def test_no_more_than_who_may_come_in_is_read_of_the_state() -> None:
    team_id, player_id = uuid4(), PlayerId(uuid4())
    players = f'[{{"player_id": "{player_id}", "puzzle": "whatever"}}]'
    state = f'{{"team_id": "{team_id}", "status": "lobby", "rules": "whatever", "players": {players}}}'.encode()
    roster = Reading(Position("e", RoomSeq(1)), state, []).roster
    assert (roster.team_id, roster.status) == (team_id, Status.LOBBY)
    assert roster.has(player_id)
    assert not roster.has(PlayerId(uuid4()))
