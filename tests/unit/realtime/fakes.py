"""Fakes of the gateway's own ports, and how to read what was written to them."""

import asyncio
import socket
from contextlib import suppress

from prometheus_client import REGISTRY

from contracts.ids import RoomSeq
from services.realtime.frame import Batch, Frame


class FakeWire:
    """A client's socket. It keeps what was written, and refuses what nobody may do to a socket."""

    descriptor: int | None = None

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closed: tuple[int, str] | None = None
        self.closing = asyncio.Event()
        self.gone = False

    def write(self, data: bytes) -> None:
        assert not self.gone, "written to a client that has gone"
        assert self.closed is None, "written behind a close"
        self.writes.append(data)

    def close(self, code: int, reason: str) -> None:
        assert not self.gone, "closed a client that has gone"
        assert self.closed is None, "closed twice"
        self.closed = code, reason
        self.closing.set()

    @property
    def texts(self) -> list[str]:
        """The messages that were written."""
        return texts(b"".join(self.writes))


class PipedWire(FakeWire):
    """One whose socket may be written to past it. It keeps all that it is given in the order in which it came."""

    def __init__(self) -> None:
        super().__init__()
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)
        self.descriptor = self._near.fileno()

    def write(self, data: bytes) -> None:
        self.drain()
        super().write(data)

    def drain(self) -> None:
        """Take what waits in the socket."""
        with suppress(BlockingIOError):
            while self._far.fileno() != -1 and (data := self._far.recv(1 << 20)):
                self.writes.append(data)

    def hang_up(self) -> None:
        self._far.close()

    def free(self) -> None:
        self._near.close()
        self._far.close()

    @property
    def texts(self) -> list[str]:
        self.drain()
        return super().texts


def texts(wire: bytes) -> list[str]:
    """The messages in a stream of whole, unmasked text frames."""
    found = []
    at = 0
    while at < len(wire):
        assert wire[at] == 0x81, "no final text frame"
        size, at = wire[at + 1], at + 2
        if size >= 126:
            length_bytes = 2 if size == 126 else 8
            size, at = int.from_bytes(wire[at : at + length_bytes]), at + length_bytes
        found.append(wire[at : at + size].decode())
        at += size
    assert at == len(wire), "the last frame is not whole"
    return found


def event(seq: int, size: int = 0) -> Frame:
    """A numbered event of at least `size` bytes, whose text is its number."""
    return Frame(f"{seq:<{size}}".encode(), RoomSeq(seq))


def ephemeral(text: str) -> Frame:
    return Frame(text.encode(), ephemeral=True)


def batch(*frames: Frame) -> Batch:
    return Batch(frames)


def counted(name: str, **labels: str) -> float:
    """The value of this process's metric."""
    return REGISTRY.get_sample_value(name, labels) or 0.0
