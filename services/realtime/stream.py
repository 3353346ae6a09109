"""A client that is told by Server-Sent Events what it would be told over a socket, in the same order.

https://html.spec.whatwg.org/multipage/server-sent-events.html. Here a task waits for each client, since HTTP is the
server's; what it has not taken yet is bounded as a slow socket's is.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from functools import lru_cache
from typing import Final

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from contracts.frames import StreamEnd, encode
from contracts.ids import RoomSeq
from services.kit import metrics
from services.kit.supervise import wait
from services.realtime.audience import Audience
from services.realtime.backlog import Backlog
from services.realtime.close_codes import Close
from services.realtime.frame import Batch, Frame

HEARTBEAT_S: Final = 15.0
RETRY_MS: Final = 1000
CHUNK_BYTES: Final = 65_536
"""What is handed to the server at once, which holds as much again before it makes the stream wait."""


class Stream:
    """A member of a room whose frames wait until `chunks` takes them.

    At most `limit_bytes` wait: ephemeral messages are dropped when half of that is used; when more is needed, what
    waits is given up and the client is told to come back.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._backlog = Backlog(limit_bytes)
        self._first: Iterable[Frame] = ()
        self._wake = asyncio.Event()
        self._gone = False
        self._seq = RoomSeq(0)
        self.closing: Close | None = None

    def begin(self, seq: RoomSeq, frames: Iterable[Frame]) -> None:
        """Start the sequence after `seq`, to which `frames` bring the client; they are not held against its limit."""
        self._seq = seq
        self._first = list(frames)

    def deliver(self, batch: Batch) -> None:
        """Let what the room has heard wait: events unless the client has them, ephemeral messages if there is room."""
        if self.closing is not None or self._gone:
            return
        for frame in batch.frames:
            if frame.ephemeral:
                self._backlog.offer(frame)
            elif frame.seq == self._seq + 1:
                self._seq = frame.seq
                if not self._backlog.add(frame):
                    self.close(Close.SLOW_CONSUMER)
                    return
            elif frame.seq > self._seq:
                self.close(Close.SEQUENCE_LOST)
                return
        self._wake.set()

    def step_in(self, audience: Audience) -> None:
        """Never: a stream has no socket of its own."""

    def take_rest(self, data: bytes) -> None:
        """Nothing was taken before."""

    def close(self, close: Close) -> None:
        """End the stream after what waits, or at once where the client is too slow to be sent that."""
        if self.closing is not None or self._gone:
            return
        self.closing = close
        metrics.closes.labels(close.reason).inc()
        if close is Close.SLOW_CONSUMER:
            self._backlog.clear()
        self._wake.set()

    def lost(self) -> None:
        """The client has gone."""
        self._gone = True
        self._backlog.clear()
        self._wake.set()

    async def chunks(self, epoch: str) -> AsyncIterator[bytes]:
        """What is to be written, until the client has gone or was told why the stream ends. `epoch` is the log's."""
        yield format_sse_event(retry=RETRY_MS) + _events(self._first, epoch)
        self._first = ()
        while not self._gone:
            if frames := self._backlog.take_some(CHUNK_BYTES):
                yield _events(frames, epoch)
            elif self.closing is not None:
                yield _end(self.closing)
                return
            elif not await wait(self._wake, HEARTBEAT_S):
                yield KEEPALIVE_COMMENT


def _events(frames: Iterable[Frame], epoch: str) -> bytes:
    return b"".join([_event(frame, epoch) for frame in frames])


@lru_cache(maxsize=128)  # all streams of a room are given the same frame, at about the same time
def _event(frame: Frame, epoch: str) -> bytes:
    """The frame as it would go over a socket; what has a number can be resumed after."""
    return format_sse_event(data_str=frame.body.decode(), id=f"{epoch}:{frame.seq}" if frame.seq else None)


def _end(close: Close) -> bytes:
    return format_sse_event(event="close", data_str=encode(StreamEnd(code=close.code, reason=close.reason)).decode())
