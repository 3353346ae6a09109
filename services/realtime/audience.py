"""⑨ The members of a room, by how they are written to. What Baton does most often is the loop in `_write`."""

import os
from collections.abc import Iterable
from typing import Protocol

from contracts.ids import RoomSeq
from services.realtime.close_codes import Close
from services.realtime.frame import Batch, Frame


class Member(Protocol):
    """Somebody in a room. None of these waits or raises, and none changes the room while it is called."""

    def begin(self, seq: RoomSeq, frames: Iterable[Frame]) -> None: ...

    def deliver(self, batch: Batch) -> None: ...

    def close(self, close: Close) -> None: ...

    def step_in(self, audience: "Audience") -> int | None:
        """Let the audience write to a descriptor, if there is one that takes everything, and the member has what the
        audience has. Then, until `audience.step_out`, it goes on having that, and `deliver` is not called.
        """

    def take_rest(self, data: bytes) -> None:
        """Write what the descriptor did not take, before anything else. May step out."""


class Audience:
    """Who is given a room's batches. `seq` is the last event that was.

    Most members are in step: each has exactly what was delivered, and its socket takes all that it is given. A batch
    goes straight to their descriptors, and nothing of theirs is looked at. The others look at each batch themselves.
    """

    def __init__(self) -> None:
        self.seq = RoomSeq(0)
        self._in_step: dict[int, Member] = {}
        self._apart: dict[Member, None] = {}

    def add(self, member: Member) -> None:
        """Give it the batches to come."""
        self._apart[member] = None

    def remove(self, member: Member) -> None:
        """Give it nothing more. It has stepped out."""
        self._apart.pop(member, None)

    def step_out(self, descriptor: int) -> None:
        """From now on, this member looks at each batch itself."""
        self._apart[self._in_step.pop(descriptor)] = None

    def restart(self, seq: RoomSeq) -> None:
        """Nobody is here any more, all have stepped out; the next event comes after `seq`."""
        self._apart.clear()
        self.seq = seq

    def deliver(self, batch: Batch) -> None:
        """Give everybody the batch."""
        late = self._write(batch.wire)
        if batch.after is not None:
            self.seq = batch.last
        for descriptor, taken in late:
            self._in_step[descriptor].take_rest(batch.wire[taken:])
        for member in list(self._apart):
            member.deliver(batch)
            if (own := member.step_in(self)) is not None:
                del self._apart[member]
                self._in_step[own] = member

    def _write(self, wire: bytes) -> list[tuple[int, int]]:
        """Write to all who are in step. Returns who took less, and how much."""
        write, size = os.write, len(wire)
        late: list[tuple[int, int]] = []
        descriptor = -1
        descriptors = iter(self._in_step)
        while True:
            try:
                for descriptor in descriptors:
                    if (taken := write(descriptor, wire)) != size:
                        late.append((descriptor, taken))
            except OSError:  # it takes nothing at the moment, or the client is gone: its transport finds out which
                late.append((descriptor, 0))
            else:
                return late
