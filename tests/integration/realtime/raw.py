"""Sockets of which every byte is the test's own."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from contracts.frames import Join, encode
from contracts.ids import SessionId
from services.kit.tokens import Role
from tests.integration.realtime.clients import PATIENCE_S, token_for
from tests.integration.realtime.points import Session

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
CONTINUATION = 0x0
MASK = b"\x01\x02\x03\x04"


def handshake(session_id: SessionId | str = "x", *headers: str, line: str = "", drop: str = "") -> bytes:
    """A request for a socket, with more headers, another first line, or without the header that begins with `drop`."""
    lines = [
        line or f"GET /ws/game/{session_id} HTTP/1.1",
        "Host: gateway",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *headers,
    ]
    kept = [text for text in lines if not (drop and text.startswith(drop))]
    return "\r\n".join([*kept, "", ""]).encode("latin-1")


def masked(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bool = True, size: int | None = None
) -> bytes:
    """A client's frame; `size` is what it announces, if that is not what it has."""
    announced = len(payload) if size is None else size
    head = bytes([fin << 7 | rsv << 4 | opcode])
    flag = mask << 7
    if announced < 126:
        head += bytes([flag | announced])
    elif announced < 1 << 16:
        head += bytes([flag | 126]) + announced.to_bytes(2)
    else:
        head += bytes([flag | 127]) + announced.to_bytes(8)
    if not mask:
        return head + payload
    key = int.from_bytes((MASK * (len(payload) // 4 + 1))[: len(payload)])
    return head + MASK + (int.from_bytes(payload) ^ key).to_bytes(len(payload))


def join_of(session: Session) -> bytes:
    """The first frame of a spectator."""
    return masked(TEXT, encode(Join(token=token_for(session.team_id, role=Role.SPECTATOR))))


class Raw:
    """A TCP connection to a gateway, and what has come from it that nobody has looked at yet."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def write(self, data: bytes) -> None:
        """Send, without waiting until it was taken."""
        self._writer.write(data)

    async def flood(self, data: bytes, times: int) -> None:
        """Send the same again and again, as fast as it is taken, until that is all or the gateway has had enough."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                for _ in range(times):
                    self._writer.write(data)
                    await self._writer.drain()
        except ConnectionError:
            return

    async def head(self) -> tuple[int, str]:
        """The status of a response, and its headers in lower case."""
        async with asyncio.timeout(PATIENCE_S):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        return int(head.split(" ", 2)[1]), head

    async def frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame. Raises IncompleteReadError and ConnectionError."""
        async with asyncio.timeout(PATIENCE_S):
            first, size = await self._reader.readexactly(2)
            if size >= 126:
                size = int.from_bytes(await self._reader.readexactly(2 if size == 126 else 8))
            return first & 0xF, await self._reader.readexactly(size)

    async def close_code(self) -> int | None:
        """The code with which the gateway closes, read past everything else; None if it just hangs up."""
        try:
            while True:
                opcode, payload = await self.frame()
                if opcode == CLOSE:
                    return int.from_bytes(payload[:2])
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def ended(self) -> bytes:
        """Everything until the gateway hangs up."""
        data = b""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while more := await self._reader.read(65_536):
                    data += more
        except ConnectionError:
            return data
        return data

    def stop_reading(self) -> None:
        """Take nothing any more."""
        transport = self._writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()

    def hang_up(self) -> None:
        """Be gone without a word."""
        self._writer.transport.abort()


@asynccontextmanager
async def raw(url: str, *, buffered: int | None = None) -> AsyncIterator[Raw]:
    """A connection that has said nothing yet, for which the kernel buffers about so many bytes."""
    address = urlsplit(url)
    sock = socket.socket()
    if buffered is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffered)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (address.hostname, address.port))
    client = Raw(*await asyncio.open_connection(sock=sock, limit=1 << 16))
    try:
        yield client
    finally:
        client.hang_up()


@asynccontextmanager
async def upgraded(url: str, session_id: SessionId | str = "x", *, buffered: int | None = None) -> AsyncIterator[Raw]:
    """A connection whose handshake is done."""
    async with raw(url, buffered=buffered) as client:
        client.write(handshake(session_id))
        status, _ = await client.head()
        assert status == 101
        yield client


@asynccontextmanager
async def joined(url: str, session: Session, *, buffered: int | None = None) -> AsyncIterator[Raw]:
    """A connection that has been let in, and was told the state."""
    async with upgraded(url, session.id, buffered=buffered) as client:
        client.write(join_of(session))
        frames = [(await client.frame())[1] for _ in range(2)]
        assert b'"welcome"' in frames[0], frames[0]
        assert b'"snapshot"' in frames[1], frames[1]
        yield client
