"""Messages lost, doubled and swapped, clients that come at any time and take what they like: all is in order."""

import asyncio
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from contracts.ids import SessionId
from services.realtime.connection import Connection
from services.realtime.room import Room
from tests.unit.realtime.fakes import FakeWire, PipedWire
from tests.unit.realtime.members import SOMEBODY, at, events, hear, log


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
            hear(self.room, seq)

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
        if self.room.admit(connection, SOMEBODY, at(reading), []):
            self.clients.append((reading, wire, connection))

    def repair(self) -> None:
        if self.room.position is not None:
            self.room.catch_up("e", log(self.room.position.seq + 1, self.end))

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
            assert [text for text in wire.texts if text != "tick"] == events(reading + 1, world.end)
            assert wire.closed is None
            connection.lost()

    world = World(data)
    try:
        asyncio.run(play(world))
    finally:
        for pipe in world.pipes:
            pipe.free()
