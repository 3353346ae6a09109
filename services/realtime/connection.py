"""One client's connection: a queue bounded in bytes, and one writer that empties it. It knows no broker and no web."""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from contracts.ids import RoomSeq
from services.kit import metrics
from services.realtime.close_codes import Close

CLOSE_TIMEOUT_S = 5.0
"""How long what is queued and the close itself may take once a close was decided."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A message as it is written, made once and shared by all connections that get it."""

    text: str
    size: int
    ephemeral: bool = False

    @classmethod
    def of(cls, body: bytes, *, ephemeral: bool = False) -> "Frame":
        """The frame of these bytes. Raises UnicodeDecodeError."""
        return cls(str(body, "utf-8"), len(body), ephemeral)


class SocketGoneError(Exception):
    """The client is no longer there."""


class Socket(Protocol):
    """What a connection writes to. Both wait while the client does not read, and raise SocketGoneError."""

    async def send(self, text: str) -> None: ...

    async def close(self, code: int, reason: str) -> None: ...


class Connection:
    """A member of a room. `seq` is the last event it was given; it takes the next one and skips what it has.

    Nothing but `write` ever waits. When more than `limit_bytes` are queued, ephemeral messages are dropped; when that
    is not enough, the queue is given up and the client is told to come back.
    """

    def __init__(self, socket: Socket, limit_bytes: int, close_timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        self._socket = socket
        self._limit = limit_bytes
        self._close_timeout_s = close_timeout_s
        self._queue: deque[Frame] = deque()
        self._size = 0
        self._work = asyncio.Event()
        self._ended = False
        self._deadline: asyncio.Timeout | None = None
        self.closing: Close | None = None
        self.seq = RoomSeq(0)

    def begin(self, seq: RoomSeq, frames: Iterable[Frame]) -> None:
        """Start the sequence after `seq`, to which `frames` bring the client; they are not held against its limit."""
        if self.closing is None:
            self.seq = seq
            for frame in frames:
                self._append(frame)

    def event(self, seq: RoomSeq, frame: Frame) -> None:
        """Queue a numbered event, unless the client has it."""
        if seq == self.seq + 1:
            self.seq = seq
            self.send(frame)
        elif seq > self.seq:
            self.close(Close.SEQUENCE_LOST)

    def send(self, frame: Frame) -> None:
        """Queue a frame that must not be lost; a client for which there is no room left is closed."""
        if self.closing is not None:
            return
        if self._size + frame.size > self._limit:
            self._drop_ephemeral()
            if self._size + frame.size > self._limit:
                self.close(Close.SLOW_CONSUMER)
                return
        self._append(frame)

    def ephemeral(self, frame: Frame) -> None:
        """Queue a frame that may be dropped, and is as soon as the queue is half full."""
        if self.closing is not None:
            return
        if self._size + frame.size > self._limit // 2:
            metrics.dropped_ephemeral.inc()
            return
        self._append(frame)

    def close(self, close: Close) -> None:
        """Close the socket after what is queued, or at once where the client is too slow to be sent that."""
        if self.closing is not None:
            return
        self.closing = close
        metrics.closes.labels(close.reason).inc()
        if close is Close.SLOW_CONSUMER:
            self._queue.clear()
            self._size = 0
        self._limit_time()
        self._work.set()

    def end(self) -> None:
        """The client has gone: `write` returns, unless it is about to close the socket itself."""
        self._ended = True
        self._work.set()

    async def write(self) -> None:
        """Write what is queued, until the socket is closed from either side. Never raises for what a client does."""
        try:
            async with asyncio.timeout(None) as self._deadline:
                self._limit_time()
                while True:
                    await self._write_queued()
                    if self.closing is not None:
                        await self._socket.close(self.closing.code, self.closing.reason)
                        return
                    if self._ended:
                        return
                    self._work.clear()
                    await self._work.wait()
        except (SocketGoneError, TimeoutError):
            return
        finally:
            self._deadline = None
            self._queue.clear()

    async def _write_queued(self) -> None:
        while self._queue:
            frame = self._queue.popleft()
            self._size -= frame.size
            await self._socket.send(frame.text)

    def _append(self, frame: Frame) -> None:
        self._queue.append(frame)
        self._size += frame.size
        self._work.set()

    def _drop_ephemeral(self) -> None:
        kept = deque(frame for frame in self._queue if not frame.ephemeral)
        metrics.dropped_ephemeral.inc(len(self._queue) - len(kept))
        self._queue = kept
        self._size = sum(frame.size for frame in kept)

    def _limit_time(self) -> None:
        if self.closing is not None and self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._close_timeout_s)
