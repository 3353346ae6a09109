"""A room's members, and what it is told, for tests of rooms."""

from collections.abc import Iterable
from uuid import uuid4

from contracts.ids import PlayerId, RoomSeq
from services.realtime.audience import Audience
from services.realtime.close_codes import Close
from services.realtime.frame import Batch, Frame
from services.realtime.reading import Position
from services.realtime.room import Room

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


def at(seq: int, epoch: str = "e") -> Position:
    return Position(epoch, RoomSeq(seq))


def hear(room: Room, *seqs: int) -> None:
    """The room is told, and has not given it to its members yet."""
    for seq in seqs:
        room.receive(f"{seq} {seq}".encode())


def say(room: Room, *seqs: int) -> None:
    hear(room, *seqs)
    room.flush()


def events(first: int, last: int) -> list[str]:
    return [str(seq) for seq in range(first, last + 1)]


def log(first: int, last: int) -> list[tuple[RoomSeq, bytes]]:
    return [(RoomSeq(seq), str(seq).encode()) for seq in range(first, last + 1)]


def enter(room: Room, position: Position, player_id: PlayerId = SOMEBODY) -> Listening:
    member = Listening()
    with room.joining():
        assert room.admit(member, player_id, position, [])
    return member
