import asyncio
import json
from collections.abc import Iterable
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.frames import encode_event
from contracts.ids import PlayerId, RoomSeq, SessionId
from contracts.rooms import PlayerEliminated, PlayerLeft
from services.realtime.audience import Audience
from services.realtime.close_codes import Close
from services.realtime.connection import Connection
from services.realtime.frame import Batch, Frame
from services.realtime.reading import Position
from services.realtime.room import HELD_EVENTS, KEEP_TURNS, RECENT_EVENTS, Room
from tests.unit.realtime.fakes import FakeWire, PipedWire, event

SOMEBODY = PlayerId(uuid4())


class Listening:
    """A member that remembers, and that has the connection's rule: skip what you have, take the next."""

    def __init__(self) -> None:
        self.seq = RoomSeq(0)
        self.heard: list[str] = []
        self.said: list[str] = []
        self.batches: list[Batch] = []
        self.closed: Close | None = None

    def begin(self, seq: RoomSeq, frames: Iterable[Frame]) -> None:
        self.seq = seq
        self.heard += [frame.body.decode() for frame in frames]

    def deliver(self, batch: Batch) -> None:
        self.batches.append(batch)
        for frame in batch.frames:
            if frame.ephemeral:
                self.said.append(frame.body.decode())
            elif frame.seq > self.seq:
                assert frame.seq == self.seq + 1
                self.seq = frame.seq
                self.heard.append(frame.body.decode())

    def step_in(self, audience: Audience) -> None:
        """Never, since it looks at each batch."""

    def take_rest(self, data: bytes) -> None:
        raise AssertionError("it has no socket")

    def close(self, close: Close) -> None:
        self.closed = close


def _at(seq: int, epoch: str = "e") -> Position:
    return Position(epoch, RoomSeq(seq))


def _hear(room: Room, *seqs: int) -> None:
    """The room is told, and has not given it to its members yet."""
    for seq in seqs:
        room.receive(f"{seq} {seq}".encode())


def _say(room: Room, *seqs: int) -> None:
    _hear(room, *seqs)
    room.flush()


def _seq_of(room: Room) -> int:
    assert room.position is not None
    return room.position.seq


def _events(first: int, last: int) -> list[str]:
    return [str(seq) for seq in range(first, last + 1)]


def _log(first: int, last: int) -> list[tuple[RoomSeq, bytes]]:
    return [(RoomSeq(seq), str(seq).encode()) for seq in range(first, last + 1)]


@pytest.fixture
def gaps() -> list[Room]:
    return []


@pytest.fixture
def dirty() -> list[Room]:
    return []


@pytest.fixture
def room(gaps: list[Room], dirty: list[Room]) -> Room:
    return Room(SessionId(uuid4()), gaps.append, dirty.append)


def _enter(room: Room, position: Position, player_id: PlayerId = SOMEBODY) -> Listening:
    member = Listening()
    with room.joining():
        assert room.admit(member, player_id, position, [])
    return member


def test_everybody_hears_each_event_once_and_the_same_batch_object(room: Room, gaps: list[Room]) -> None:
    one, two = _enter(room, _at(3)), _enter(room, _at(3))
    _say(room, 4, 5, 5, 4)
    _say(room, 6)
    assert one.heard == two.heard == _events(4, 6)
    assert [(batch.after, batch.last) for batch in one.batches] == [(3, 5), (5, 6)]
    assert all(a is b for a, b in zip(one.batches, two.batches, strict=True))
    assert gaps == []


def test_what_is_heard_before_the_flush_is_delivered_together(room: Room, dirty: list[Room]) -> None:
    members = [_enter(room, _at(3)) for _ in range(4)]
    _hear(room, 4, 5)
    room.receive(b"0 tick")
    _hear(room, 6)
    assert (dirty, members[0].heard) == ([room], [])
    assert room.flush() == 4 * len(members)
    assert (members[0].heard, members[0].said, len(members[0].batches)) == (_events(4, 6), ["tick"], 1)
    assert room.flush() == 0
    _hear(room, 7)
    assert dirty == [room, room]


def test_ephemeral_messages_have_no_place_in_the_sequence(room: Room) -> None:
    member = _enter(room, _at(3))
    room.receive(b"0 a tick")
    _say(room, 4)
    assert (member.said, member.heard) == (["a tick"], _events(4, 4))


def test_an_ephemeral_message_may_tell_the_position_and_a_higher_one_is_a_gap(room: Room, gaps: list[Room]) -> None:
    member = _enter(room, _at(3))
    room.receive(b"=3 a tick")
    room.receive(b"=2 an older one")
    assert (gaps, room.is_behind) == ([], False)
    room.receive(b"=5 a newer one")
    assert (gaps, room.is_behind) == ([room], True)
    room.flush()
    assert (member.said, member.heard) == (["a tick", "an older one", "a newer one"], [])
    assert room.catch_up("e", _log(4, 5)) == 2
    room.flush()
    assert (member.heard, room.is_behind) == (_events(4, 5), False)


@pytest.mark.parametrize("payload", [b"", b"x y", b"-1 y", b"1.5 y", b"\xb2 y", b"= y", b"=x y", b"==1 y"])
def test_an_unreadable_message_changes_nothing(room: Room, dirty: list[Room], payload: bytes) -> None:
    member = _enter(room, _at(0))
    room.receive(payload)
    assert (member.heard, member.said, room.position, dirty) == ([], [], _at(0), [])


def test_behind_a_gap_everything_is_held_back_until_it_is_filled(room: Room, gaps: list[Room]) -> None:
    member = _enter(room, _at(3))
    _say(room, 5, 6)
    assert (member.heard, gaps, room.is_behind) == ([], [room, room], True)
    assert room.catch_up("e", _log(4, 5)) == 3
    room.flush()
    assert (member.heard, room.is_behind) == (_events(4, 6), False)


def test_ephemeral_messages_pass_a_gap(room: Room) -> None:
    member = _enter(room, _at(3))
    _hear(room, 5)
    room.receive(b"0 tick")
    room.flush()
    assert (member.heard, member.said) == ([], ["tick"])


def test_more_than_is_held_back_is_left_to_the_log(room: Room) -> None:
    member = _enter(room, _at(0))
    last = 2 * HELD_EVENTS
    _say(room, *range(2, last + 1))
    assert room.catch_up("e", _log(1, 1)) == HELD_EVENTS + 1
    assert room.is_behind
    room.catch_up("e", _log(HELD_EVENTS, last))
    room.flush()
    assert (member.heard, room.is_behind) == (_events(1, last), False)


def test_what_a_repair_has_overtaken_is_not_held_for_ever(room: Room) -> None:
    _enter(room, _at(0))
    _say(room, 3, 5)
    room.catch_up("e", _log(1, 9))
    assert (room.position, room.is_behind, room._held) == (_at(9), False, {})


def test_a_position_further_on_is_a_gap_too(room: Room, gaps: list[Room]) -> None:
    _enter(room, _at(3))
    room.expect(RoomSeq(3))
    assert gaps == []
    room.expect(RoomSeq(4))
    assert gaps == [room]


def test_what_another_epoch_says_fills_no_gap(room: Room) -> None:
    member = _enter(room, _at(3))
    assert room.catch_up("another", _log(4, 9)) == 0
    room.flush()
    assert member.heard == []


def test_who_joins_is_told_what_came_between_the_reading_and_the_entry(room: Room) -> None:
    _enter(room, _at(3))
    member = Listening()
    with room.joining():
        _say(room, 4, 5)
        _hear(room, 6)
        assert room.admit(member, SOMEBODY, _at(4), [event(4)])
    _say(room, 7)
    assert member.heard == _events(4, 7)


def test_who_read_more_than_the_room_has_heard_skips_it(room: Room) -> None:
    early = _enter(room, _at(3))
    member = _enter(room, _at(5))
    _say(room, 4, 5, 6)
    assert (early.heard, member.heard) == (_events(4, 6), _events(6, 6))


def test_a_reading_from_before_the_join_is_not_good_enough(room: Room) -> None:
    _enter(room, _at(3))
    for _ in range(KEEP_TURNS):
        room.age()
    _say(room, 4, 5)
    member = Listening()
    with room.joining():
        _say(room, 6)
        assert not room.admit(member, SOMEBODY, _at(4), [])
        assert room.admit(member, SOMEBODY, _at(5), [])
    assert (member.heard, len(room.members)) == (_events(6, 6), 2)


def test_for_a_while_after_a_join_its_reading_serves_others(room: Room) -> None:
    _enter(room, _at(3))
    for _ in range(KEEP_TURNS - 1):
        _say(room, _seq_of(room) + 1)
        room.age()
    with room.joining():
        room.age()
    member = Listening()
    assert room.admit(member, SOMEBODY, _at(3), [])
    assert member.heard == _events(4, 5)
    for _ in range(KEEP_TURNS):
        room.age()
    assert (room._recent, room.reading) == ([], None)
    assert not room.admit(Listening(), SOMEBODY, _at(3), [])


def test_what_is_kept_for_joins_is_bounded(room: Room) -> None:
    with room.joining():
        assert room.admit(Listening(), SOMEBODY, _at(0), [])
        _say(room, *range(1, 3 * RECENT_EVENTS))
        assert len(room._recent) == RECENT_EVENTS
        assert not room.admit(Listening(), SOMEBODY, _at(2 * RECENT_EVENTS - 2), [])
        assert room.admit(Listening(), SOMEBODY, _at(2 * RECENT_EVENTS - 1), [])


def test_the_first_member_is_told_what_was_heard_before_the_position_was_known(room: Room, gaps: list[Room]) -> None:
    member = Listening()
    with room.joining():
        _say(room, 3, 4, 5, 7)
        assert gaps == []
        assert room.admit(member, SOMEBODY, _at(3), [])
    room.flush()
    assert (member.heard, gaps) == (_events(4, 5), [room])


def test_another_epoch_makes_all_members_come_back(room: Room) -> None:
    old = _enter(room, _at(30))
    _hear(room, 31)
    new = _enter(room, _at(3, "restored"))
    _say(room, 4)
    assert (old.closed, old.heard) == (Close.SEQUENCE_LOST, [])
    assert (new.closed, new.heard) == (None, _events(4, 4))


def test_a_room_that_is_gone_sends_everybody_away_and_starts_where_the_next_one_is(room: Room) -> None:
    old = _enter(room, _at(30))
    _hear(room, 32)
    room.restart(None)
    assert (old.closed, room.position, room.is_empty, room.is_behind) == (Close.SEQUENCE_LOST, None, True, False)
    new = _enter(room, _at(2))
    _say(room, 3)
    assert new.heard == ["3"]


def test_who_leaves_the_lobby_is_closed_after_being_told_on_every_socket(room: Room) -> None:
    leaving, staying = PlayerId(uuid4()), PlayerId(uuid4())
    here, there, other = (_enter(room, _at(3), player_id) for player_id in (leaving, leaving, staying))
    left = encode_event(RoomSeq(4), 1, PlayerLeft(player_id=leaving))
    room.receive(b"4 " + left)
    _hear(room, 5)
    room.flush()
    assert [member.closed for member in (here, there, other)] == [Close.LEFT, Close.LEFT, None]
    assert here.heard == other.heard == [left.decode(), "5"]


def test_who_has_left_since_the_reading_is_not_admitted_by_it(room: Room) -> None:
    _enter(room, _at(3))
    leaving, member = PlayerId(uuid4()), Listening()
    with room.joining():
        room.receive(b"4 " + encode_event(RoomSeq(4), 1, PlayerLeft(player_id=leaving)))
        assert not room.admit(member, leaving, _at(3), [])
        room.flush()
        assert not room.admit(member, leaving, _at(3), [])
        assert (member.heard, len(room.members)) == ([], 1)
        assert room.admit(member, SOMEBODY, _at(3), [])


def test_nobody_is_closed_by_what_somebody_says_or_by_another_fact(room: Room) -> None:
    members = [_enter(room, _at(3), SOMEBODY)]
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
    member = _enter(room, _at(last - 1))
    room.receive(b"%d %b" % (last, encode_event(RoomSeq(last), 1, PlayerLeft(player_id=SOMEBODY))))
    room.flush()
    assert member.closed is Close.LEFT


class World:
    """The log grows; messages come as they like; clients join at any reading, and stop and go on taking what is
    written to them; a repair reads the log up to its end.
    """

    STEPS = ("happen", "happen", "tick", "hear", "hear", "flush", "lose", "join", "repair", "pause", "resume", "age")

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.room = Room(SessionId(uuid4()), lambda _: None, lambda _: None)
        self.end = 0
        self.pending: list[int] = []
        self.clients: list[tuple[int, FakeWire, Connection]] = []
        self.pipes: list[PipedWire] = []

    def happen(self) -> None:
        self.end += 1
        self.pending += [self.end] * self.data.draw(st.integers(1, 2))

    def tick(self) -> None:
        position = self.data.draw(st.integers(0, self.end))
        self.room.receive(b"=%d tick" % position if position else b"0 tick")

    def hear(self) -> None:
        if (seq := self._any_pending()) is not None:
            _hear(self.room, seq)

    def lose(self) -> None:
        self._any_pending()

    def flush(self) -> None:
        self.room.flush()

    def age(self) -> None:
        self.room.age()

    def join(self) -> None:
        wire = FakeWire()
        if self.data.draw(st.booleans()):
            self.pipes.append(wire := PipedWire())
        connection = Connection(wire, 1 << 16)
        reading = self.data.draw(st.integers(max(0, self.end - 3), self.end))
        if self.room.admit(connection, SOMEBODY, _at(reading), []):
            self.clients.append((reading, wire, connection))

    def repair(self) -> None:
        if self.room.position is not None:
            self.room.catch_up("e", _log(self.room.position.seq + 1, self.end))

    def pause(self) -> None:
        if self.clients:
            self._any_connection().pause()

    def resume(self) -> None:
        if self.clients:
            self._any_connection().resume()

    def _any_pending(self) -> int | None:
        return self.pending.pop(self.data.draw(st.integers(0, len(self.pending) - 1))) if self.pending else None

    def _any_connection(self) -> Connection:
        return self.clients[self.data.draw(st.integers(0, len(self.clients) - 1))][2]


@given(st.data())
def test_whatever_is_lost_doubled_or_swapped_every_client_is_written_all_in_order(data: st.DataObject) -> None:
    async def play(world: World) -> None:
        with world.room.joining():
            for step in data.draw(st.lists(st.sampled_from(World.STEPS), max_size=80)):
                getattr(world, step)()
            world.repair()
            world.flush()
        for reading, wire, connection in world.clients:
            connection.resume()
            assert [text for text in wire.texts if text != "tick"] == _events(reading + 1, world.end)
            assert wire.closed is None
            connection.lost()

    world = World(data)
    try:
        asyncio.run(play(world))
    finally:
        for pipe in world.pipes:
            pipe.free()
