"""⑨ Rooms and who is in them: each message is handed to every member in order, without a gap and without a double.

The hub knows no broker. It is told what was heard; where that leaves a gap, it holds back and asks for a repair.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import structlog

from contracts.ids import RoomSeq, SessionId
from services.kit import metrics
from services.realtime.close_codes import Close
from services.realtime.connection import Frame

log = structlog.get_logger()

HELD_EVENTS = 256
"""How many events a room holds back behind a gap; later ones are read from its log again."""
RECENT_EVENTS = 512
"""How many events a room keeps for those who are joining."""


class Position(NamedTuple):
    """How far a log has come, in which life of the database."""

    epoch: str
    seq: RoomSeq


class Member(Protocol):
    """Somebody in a room. None of these waits or raises, and none changes the room while it is called."""

    def begin(self, seq: RoomSeq, frames: Iterable[Frame]) -> None: ...

    def event(self, seq: RoomSeq, frame: Frame) -> None: ...

    def ephemeral(self, frame: Frame) -> None: ...

    def close(self, close: Close) -> None: ...


class Room:
    """A session's room in this gateway. Its `position` is what all its members have, or skip because they have more."""

    def __init__(self, session_id: SessionId, on_gap: Callable[["Room"], None]) -> None:
        self.session_id = session_id
        self.position: Position | None = None
        self.members: set[Member] = set()
        self._on_gap = on_gap
        self._joining = 0
        self._recent: deque[tuple[RoomSeq, Frame]] = deque(maxlen=RECENT_EVENTS)
        self._held: dict[RoomSeq, Frame] = {}
        self._newest = RoomSeq(0)

    @property
    def is_empty(self) -> bool:
        return not self.members and not self._joining

    @property
    def is_behind(self) -> bool:
        """Whether the room knows of events that it has not delivered."""
        return self.position is not None and self._newest > self.position.seq

    def receive(self, payload: bytes) -> None:
        """Take a channel message: `<seq> <frame>`, or `0 <frame>` for an ephemeral one."""
        head, _, body = payload.partition(b" ")
        if not head.isdigit():
            log.warning("unreadable_room_message", session_id=str(self.session_id), size=len(payload))
        elif (seq := RoomSeq(int(head))) == 0:
            frame = Frame.of(body, ephemeral=True)
            for member in self.members:
                member.ephemeral(frame)
            metrics.deliveries.inc(len(self.members))
        else:
            self._hear(seq, body)
            if self.is_behind:
                self._on_gap(self)

    def expect(self, seq: RoomSeq) -> None:
        """Somebody says that the log has come to `seq`: if nothing was heard of that, it is repaired."""
        self._newest = max(self._newest, seq)
        if self.is_behind:
            self._on_gap(self)

    def catch_up(self, epoch: str, events: Iterable[tuple[RoomSeq, bytes]]) -> int:
        """Deliver events read from the log of that epoch. Returns how many of them were missing here."""
        if self.position is None or self.position.epoch != epoch:
            return 0
        before = self.position.seq
        for seq, body in events:
            self._hear(seq, body)
        return self.position.seq - before

    def restart(self, position: Position | None) -> None:
        """The sequence cannot go on: all members are told to come back, and the room goes on from `position`."""
        for member in self.members:
            member.close(Close.SEQUENCE_LOST)
        self.members.clear()
        self._recent.clear()
        self._held.clear()
        self.position = position
        self._newest = position.seq if position else RoomSeq(0)

    @contextmanager
    def joining(self) -> Iterator[None]:
        """While somebody joins, the room stays open and keeps what it delivers meanwhile."""
        self._joining += 1
        try:
            yield
        finally:
            self._joining -= 1
            if not self._joining:
                self._recent.clear()

    def admit(self, member: Member, position: Position, frames: Sequence[Frame]) -> bool:
        """Make somebody a member whom `frames` bring to `position`, as one step with what was delivered since.

        Returns False where that cannot be done without a gap; then the position has to be read again.
        """
        if self.position is None:
            self._start(position)
        elif self.position.epoch != position.epoch:
            self.restart(position)
        since = [(seq, frame) for seq, frame in self._recent if seq > position.seq]
        if len(since) != max(self._delivered - position.seq, 0):
            return False
        member.begin(RoomSeq(position.seq + len(since)), [*frames, *(frame for _, frame in since)])
        self.members.add(member)
        if self.is_behind:
            self._on_gap(self)
        return True

    @property
    def _delivered(self) -> RoomSeq:
        return self.position.seq if self.position else RoomSeq(0)

    def _start(self, position: Position) -> None:
        self.position = position
        self._held = {seq: frame for seq, frame in self._held.items() if seq > position.seq}
        self._release()

    def _hear(self, seq: RoomSeq, body: bytes) -> None:
        if seq <= self._delivered:
            return
        self._newest = max(self._newest, seq)
        if self.position is not None and seq == self.position.seq + 1:
            self._deliver(self.position, Frame.of(body))
            if self._held:
                self._release()
        elif len(self._held) < HELD_EVENTS:
            self._held[seq] = Frame.of(body)

    def _release(self) -> None:
        """Deliver what was held back and follows without a gap."""
        while self.position is not None and (frame := self._held.pop(RoomSeq(self.position.seq + 1), None)):
            self._deliver(self.position, frame)
        if self._held:
            self._held = {seq: frame for seq, frame in self._held.items() if seq > self._delivered}

    def _deliver(self, position: Position, frame: Frame) -> None:
        seq = RoomSeq(position.seq + 1)
        self.position = Position(position.epoch, seq)
        if self._joining:
            self._recent.append((seq, frame))
        for member in self.members:
            member.event(seq, frame)
        metrics.deliveries.inc(len(self.members))


class Hub:
    """The rooms that are open in this process."""

    def __init__(self, on_gap: Callable[[Room], None]) -> None:
        self._on_gap = on_gap
        self._rooms: dict[SessionId, Room] = {}
        self._empty_since: dict[SessionId, float] = {}

    def __iter__(self) -> Iterator[Room]:
        return iter(list(self._rooms.values()))

    def room(self, session_id: SessionId) -> Room:
        """The session's room, opened if it is not. It stays open while somebody is in it or joins it."""
        room = self._rooms.get(session_id)
        if room is None:
            room = self._rooms[session_id] = Room(session_id, self._on_gap)
            metrics.rooms_open.inc()
        return room

    def close_empty(self, now: float, linger_s: float) -> list[Room]:
        """Close the rooms that were empty at every call during the last `linger_s`, and return them."""
        since = {room.session_id: self._empty_since.get(room.session_id, now) for room in self if room.is_empty}
        closed = [self._rooms.pop(session_id) for session_id, then in since.items() if now - then >= linger_s]
        for room in closed:
            del since[room.session_id]
        self._empty_since = since
        metrics.rooms_open.dec(len(closed))
        return closed
