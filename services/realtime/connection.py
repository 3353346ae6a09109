"""One client's connection: what it is given goes straight to its socket, or into a queue bounded in bytes.

It knows no broker and no web. Nothing here waits, so no client can delay another.
"""

import asyncio
from collections.abc import Iterable
from typing import Protocol

from contracts.ids import RoomSeq
from services.kit import metrics
from services.realtime.audience import Audience
from services.realtime.backlog import Backlog
from services.realtime.close_codes import Close
from services.realtime.frame import Batch, Frame

STALL_S = 10.0
"""A client that has taken nothing for so long is closed, however little it is that waits for it."""


class Wire(Protocol):
    """What a connection writes to. It calls the connection's `pause` when a client does not take what was written, and
    `resume` as soon as everything was taken. None of these waits or raises, also not when the client is gone.
    """

    descriptor: int | None
    """Where all may be written that the client takes at once, past what waits. None where that cannot be done."""

    def write(self, data: bytes) -> None: ...

    def close(self, code: int, reason: str) -> None:
        """Close after what was written, and abort where the client does not take that in time."""


class Connection:
    """A member of a room. `seq` is the last event it was given; it takes the next one and skips what it has.

    While the client takes nothing, at most `limit_bytes` are queued: ephemeral messages are dropped when half of that
    is used; when more is needed, the queue is given up and the client is told to come back.
    """

    __slots__ = (
        "_audience",
        "_backlog",
        "_flowing",
        "_gone",
        "_limit",
        "_paused",
        "_stall",
        "_wire",
        "_write",
        "closing",
        "seq",
    )

    def __init__(self, wire: Wire, limit_bytes: int) -> None:
        self._wire = wire
        self._write = wire.write
        self._limit = limit_bytes
        self._audience: Audience | None = None
        self._backlog: Backlog | None = None
        self._flowing = True
        self._paused = False
        self._gone = False
        self._stall: asyncio.TimerHandle | None = None
        self.closing: Close | None = None
        self.seq = RoomSeq(0)

    def begin(self, seq: RoomSeq, frames: Iterable[Frame]) -> None:
        """Start the sequence after `seq`, to which `frames` bring the client; they are not held against its limit."""
        if self.closing is None and not self._gone:
            self.seq = seq
            self._write(b"".join([frame.wire for frame in frames]))

    def deliver(self, batch: Batch) -> None:
        """Write what the room has heard: events unless the client has them, ephemeral messages if there is room."""
        if self._flowing:
            write = self._write  # not called as a method: CPython looks up slots the slow way there
            if self.seq == batch.after:
                self.seq = batch.last
                write(batch.wire)
                return
            if batch.after is None:
                write(batch.wire)
                return
        for frame in batch.frames:
            if frame.ephemeral:
                self._offer(frame)
            elif frame.seq == self.seq + 1:
                self.seq = frame.seq
                self.send(frame)
            elif frame.seq > self.seq:
                self.close(Close.SEQUENCE_LOST)

    def step_in(self, audience: Audience) -> int | None:
        """Let the audience write to the socket itself, if the client has taken everything, and has what others have."""
        if not self._flowing or self.seq != audience.seq or self._wire.descriptor is None:
            return None
        self._audience = audience
        return self._wire.descriptor

    def take_rest(self, data: bytes) -> None:
        """Write what the socket did not take at once."""
        self._write(data)

    def send(self, frame: Frame) -> None:
        """Write a frame that must not be lost; a client for which there is no room left is closed."""
        if self._flowing:
            self._write(frame.wire)
        elif self.closing is None and not self._gone and not self._waiting().add(frame):
            self.close(Close.SLOW_CONSUMER)

    def close(self, close: Close) -> None:
        """Close the socket after what is queued, or at once where the client is too slow to be sent that."""
        if self.closing is not None or self._gone:
            return
        self.closing = close
        self._stop()
        metrics.closes.labels(close.reason).inc()
        queue = self._take_backlog()
        if queue and close is not Close.SLOW_CONSUMER:
            self._write(b"".join([frame.wire for frame in queue]))
        self._wire.close(*close.value)

    def pause(self) -> None:
        """The client takes nothing at the moment: queue from now on."""
        self._paused = True
        self._stop()
        if self._stall is None and not self._gone:
            self._stall = asyncio.get_running_loop().call_later(STALL_S, self.close, Close.SLOW_CONSUMER)
            metrics.paused_connections.inc()

    def resume(self) -> None:
        """The client has taken all that was written: write what is queued meanwhile, in one piece."""
        self._paused = False
        self._end_stall()
        if self.closing is None and not self._gone:
            self._flowing = True
            if queue := self._take_backlog():
                metrics.coalesced_writes.inc()
                self._write(b"".join([frame.wire for frame in queue]))

    def lost(self) -> None:
        """The client has gone."""
        self._gone = True
        self._stop()
        self._end_stall()
        self._backlog = None

    def _stop(self) -> None:
        """Nothing more goes straight to the socket."""
        self._flowing = False
        audience, self._audience = self._audience, None
        if audience is not None and self._wire.descriptor is not None:
            self.seq = audience.seq
            audience.step_out(self._wire.descriptor)

    def _offer(self, frame: Frame) -> None:
        if self._flowing:
            self._write(frame.wire)
        elif self.closing is None and not self._gone:
            self._waiting().offer(frame)

    def _waiting(self) -> Backlog:
        if self._backlog is None:
            self._backlog = Backlog(self._limit)
        return self._backlog

    def _take_backlog(self) -> Iterable[Frame]:
        backlog, self._backlog = self._backlog, None
        return () if backlog is None else backlog.take()

    def _end_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
            metrics.paused_connections.dec()
