"""⑨ A session's room: every member is given each message in order, without a gap and without a double."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import structlog

from contracts.channels import room_key
from contracts.frames import decode_event
from contracts.ids import PlayerId, RoomSeq, SessionId
from contracts.rooms import PlayerLeft
from services.realtime.audience import Audience, Member
from services.realtime.close_codes import Close
from services.realtime.frame import Batch, Frame
from services.realtime.reading import Position, Reading

log = structlog.get_logger()

HELD_EVENTS = 256
"""How many events a room holds back behind a gap; later ones are read from its log again."""
RECENT_EVENTS = 256
"""How many events a room keeps for those who are joining."""
KEEP_TURNS = 3
"""For how many calls of `age` after a join a room keeps what the next ones need: who comes back comes with others."""

_LEFT = b'"type":"%b"' % PlayerLeft.type.encode()
_HEAD = 64
"""Where an event's type stands in its frame: behind a number of at most 20 digits."""


class Room:
    """A session's room in this gateway. Its `position` is what all its members have, or skip because they have more.

    What is received is delivered by `flush`, for which the room asks by calling `on_dirty`.
    """

    __slots__ = (
        "_audience", "_epoch", "_held", "_joining", "_keep_for", "_newest", "_on_dirty", "_on_gap", "_out", "_recent",
        "_seq", "is_confirmed", "key", "members", "reading", "session_id", "strangers",
    )  # fmt: skip

    def __init__(
        self, session_id: SessionId, on_gap: Callable[["Room"], None], on_dirty: Callable[["Room"], None]
    ) -> None:
        self.session_id = session_id
        self.key = room_key(session_id)
        self.members: dict[Member, PlayerId] = {}
        self._audience = Audience()
        self._on_gap = on_gap
        self._on_dirty = on_dirty
        self._epoch: str | None = None
        self._seq = RoomSeq(0)
        self.reading: Reading | None = None
        """The last reading for a join. What was received since is kept as well, so it serves later ones."""
        self.strangers: set[PlayerId] = set()
        """Players of the team who have no seat here any more, as points has said."""
        self._joining = 0
        self._keep_for = 0
        self._out: list[Frame] = []
        self._recent: list[Frame] = []
        self._held: dict[RoomSeq, Frame] = {}
        self._newest = RoomSeq(0)
        self.is_confirmed = False
        """Whether a message has told, since this was set to False, that the room is where its log is."""

    @property
    def position(self) -> Position | None:
        """None until the first member was admitted."""
        return None if self._epoch is None else Position(self._epoch, self._seq)

    @property
    def is_behind(self) -> bool:
        """Whether the room knows of events that it has not delivered."""
        return self._epoch is not None and self._newest > self._seq

    def receive(self, payload: bytes) -> None:
        """Take a channel message, as contracts/channels.py describes it."""
        head, _, body = payload.partition(b" ")
        tells_position = head.startswith(b"=")
        number = head[1:] if tells_position else head
        if not number.isdigit():
            log.warning("unreadable_room_message", session_id=str(self.session_id), size=len(payload))
            return
        seq = RoomSeq(int(number))
        if tells_position:
            self._put_out(Frame(body, ephemeral=True))
            self.is_confirmed |= seq == self._seq
            self.expect(seq)
        elif seq == self._seq + 1 and not self._held and self._epoch is not None:
            self._deliver(Frame(body, seq))
        elif seq == 0:
            self._put_out(Frame(body, ephemeral=True))
        else:
            self._hear(seq, body)
            if self._newest > self._seq and self._epoch is not None:
                self._on_gap(self)

    def flush(self) -> int:
        """Give every member what was received since the last time. Returns how many frames were given to members."""
        frames, self._out = self._out, []
        if not frames:
            return 0  # the room was restarted meanwhile
        self._audience.deliver(Batch(frames))
        for frame in frames:
            if frame.seq and (left := _who_left(frame)):
                self._dismiss(left)
        return len(frames) * len(self.members)

    def expect(self, seq: RoomSeq) -> None:
        """Somebody says that the log has come to `seq`: if nothing was heard of that, it is repaired."""
        self._newest = max(self._newest, seq)
        if self.is_behind:
            self._on_gap(self)

    def catch_up(self, epoch: str, events: Iterable[tuple[RoomSeq, bytes]]) -> int:
        """Take events read from the log of that epoch. Returns how many of them were missing here."""
        if self._epoch != epoch:
            return 0
        before = self._seq
        for seq, body in events:
            self._hear(seq, body)
        return self._seq - before

    def restart(self, position: Position | None) -> None:
        """The sequence cannot go on: all members are told to come back, and the room goes on from `position`."""
        for member in self.members:
            member.close(Close.SEQUENCE_LOST)
        self.members.clear()
        self._out.clear()
        self._recent.clear()
        self._held.clear()
        self.reading = None
        self._epoch, self._seq = position or (None, RoomSeq(0))
        self._newest = self._seq
        self._audience.restart(self._seq)

    @contextmanager
    def joining(self) -> Iterator[None]:
        """While somebody joins, the room stays open and keeps what it delivers meanwhile."""
        self._joining += 1
        self._keep_for = KEEP_TURNS
        try:
            yield
        finally:
            self._joining -= 1

    def age(self) -> bool:
        """To be called again and again: forget what was kept for joins when there are no more of them.

        Returns whether the room is empty.
        """
        if self._keep_for and not self._joining:
            self._keep_for -= 1
            if not self._keep_for:
                self._recent.clear()
                self.reading = None
        return not self.members and not self._joining

    def admit(self, member: Member, player_id: PlayerId, position: Position, frames: Sequence[Frame]) -> bool:
        """Make somebody a member whom `frames` bring to `position`, as one step with what was received since.

        Returns False where that cannot be done without a gap, or where the player has left since; then the room has to
        be read again.
        """
        if self._epoch is None:
            self._start(position)
        elif self._epoch != position.epoch:
            self.restart(position)
        since = [frame for frame in self._recent if frame.seq > position.seq]
        if len(since) != max(self._seq - position.seq, 0) or any(_who_left(frame) == player_id for frame in since):
            return False
        member.begin(RoomSeq(position.seq + len(since)), [*frames, *since])
        self.members[member] = player_id
        self._audience.add(member)
        if self.is_behind:
            self._on_gap(self)
        return True

    def leave(self, member: Member) -> None:
        """It is nobody's member any more; it has been lost."""
        self.members.pop(member, None)
        self._audience.remove(member)

    def _start(self, position: Position) -> None:
        self._epoch, self._seq = position
        self._audience.restart(self._seq)
        self._held = {seq: frame for seq, frame in self._held.items() if seq > position.seq}
        self._release()

    def _hear(self, seq: RoomSeq, body: bytes) -> None:
        if seq == self._seq + 1 and self._epoch is not None:
            self._deliver(Frame(body, seq))
            if self._held:
                self._release()
        elif seq > self._seq and len(self._held) < HELD_EVENTS:
            self._held[seq] = Frame(body, seq)
        if seq > self._newest:
            self._newest = seq

    def _release(self) -> None:
        """Deliver what was held back and follows without a gap."""
        while frame := self._held.pop(RoomSeq(self._seq + 1), None):
            self._deliver(frame)
        if self._held:
            self._held = {seq: frame for seq, frame in self._held.items() if seq > self._seq}

    def _deliver(self, frame: Frame) -> None:
        self._seq = frame.seq
        if self._keep_for:
            self._recent.append(frame)
            del self._recent[:-RECENT_EVENTS]
        self._put_out(frame)

    def _put_out(self, frame: Frame) -> None:
        if not self._out:
            self._on_dirty(self)
        self._out.append(frame)

    def _dismiss(self, left: PlayerId) -> None:
        """Close the sockets of the player who left or was removed: their token opens no seat any more."""
        for member, player_id in self.members.items():
            if player_id == left:
                member.close(Close.LEFT)


def _who_left(frame: Frame) -> PlayerId | None:
    """The player whose leaving is what the event tells."""
    if frame.body.find(_LEFT, 0, _HEAD) < 0:
        return None
    fact = decode_event(frame.body).data
    return fact.player_id if isinstance(fact, PlayerLeft) else None
