"""Malformed handshakes and frames without end, from a seed, and a client that throws them at a gateway."""

import asyncio
import random
from collections.abc import Iterable
from typing import NamedTuple

from tests.integration.realtime.raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, handshake, masked

PATIENCE_S = 1.0
"""How long a client stays when the gateway says nothing. Most of what is sent is not even complete."""
AT_ONCE = 250
METHODS = ["GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "PRI", "get", "G\x00T", "\xff", ""]
VERSIONS = ["HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9.9", "HTP/1.1", "", "HTTP/1.1 and more"]
PATHS = [
    "/ws/game/x",
    "/",
    "*",
    "//",
    "/ws/game/%00",
    "/ws/game/%ff%fe",
    "/../..",
    "http://x/",
    "/livez",
    "/\xe9",
    "/?%",
    "",
]
HEADERS = [
    "Content-Length: 5",
    "Content-Length: -1",
    "Content-Length: 99999999999999999999",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip",
    "Expect: 100-continue",
    "Upgrade: h2c",
    "Connection: close",
    "Connection: keep-alive, Upgrade",
    "Host: another",
    "Sec-WebSocket-Key: short",
    "Sec-WebSocket-Version: 99",
    "Sec-WebSocket-Protocol: baton.v1, token.x",
    "Sec-WebSocket-Protocol: ,,\x7f,",
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99",
    "Sec-WebSocket-Extensions: ;;=,",
    "Origin: null",
    "Origin: https://evil.example",
    "Cookie: " + "c" * 9_000,
    "X: \x00",
    " folded: yes",
    "no colon",
    ": no name",
    "X-\xe9: \xff",
]
ESSENTIALS = ["", "Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"]
TEXTS = [
    b"",
    b"{",
    b"[" * 3_000,
    b'{"type": "join"}',
    b'{"type": "join", "token": "x.y.z"}',
    b"\xff",
    b"null",
    b"x" * 5_000,
]


class Case(NamedTuple):
    """What is sent at first, and what when the handshake is done."""

    request: bytes
    frames: bytes


def cases(seed: int, count: int) -> Iterable[Case]:
    chance = random.Random(seed)
    for _ in range(count):
        if chance.random() < 0.3:
            yield Case(handshake("x"), _frames(chance))
        else:
            yield Case(_request(chance), _frames(chance))


def _request(chance: random.Random) -> bytes:
    if chance.random() < 0.1:
        return chance.randbytes(chance.choice([1, 10, 100, 3_000]))
    line = f"{chance.choice(METHODS)} {chance.choice(PATHS)} {chance.choice(VERSIONS)}"
    headers = chance.choices(HEADERS, k=chance.choice([0, 1, 1, 2, 120]))
    request = handshake("x", *headers, line=chance.choice([line, ""]), drop=chance.choice(ESSENTIALS))
    match chance.randrange(6):
        case 0:
            return request[: chance.randrange(len(request))]
        case 1:
            return _broken(chance, request)
        case 2:
            return request.replace(b"\r\n", chance.choice([b"\n", b"\r", b"\r\n\r\n", b"\n\r"]))
        case 3:
            return request * chance.randrange(1, 30)
    return request


def _frames(chance: random.Random) -> bytes:
    frames = b"".join(_frame(chance) for _ in range(chance.choice([0, 1, 2, 20])))
    return _broken(chance, frames) if chance.random() < 0.3 else frames


def _frame(chance: random.Random) -> bytes:
    return masked(
        chance.choice([TEXT, TEXT, BINARY, CONTINUATION, PING, PONG, CLOSE, chance.randrange(16)]),
        chance.choice([*TEXTS, chance.randbytes(chance.choice([1, 2, 125, 126, 2_000]))]),
        fin=chance.random() < 0.8,
        rsv=chance.choice([0, 0, 0, 0, 0, 1, 2, 7]),
        mask=chance.random() < 0.95,
        size=chance.choice([None, None, None, None, None, 0, 1, 70_000, 2**40, 2**63]),
    )


def _broken(chance: random.Random, data: bytes) -> bytes:
    broken = bytearray(data)
    for _ in range(min(len(broken), chance.choice([1, 3, 30]))):
        broken[chance.randrange(len(broken))] = chance.randrange(256)
    return bytes(broken)


async def attack(host: str, port: int, attacks: Iterable[Case]) -> int:
    """Let a client try each, many at a time. Returns how many of them the gateway answered."""
    loop = asyncio.get_running_loop()
    turns = asyncio.Semaphore(AT_ONCE)
    answered = 0

    async def attempt(case: Case) -> None:
        nonlocal answered
        try:
            _, client = await loop.create_connection(lambda: _Client(case, loop), host, port)
            await client.gone
            answered += client.was_answered
        finally:
            turns.release()

    async with asyncio.TaskGroup() as group:
        for case in attacks:
            await turns.acquire()
            group.create_task(attempt(case))
    return answered


class _Client(asyncio.Protocol):
    def __init__(self, case: Case, loop: asyncio.AbstractEventLoop) -> None:
        self._case = case
        self._loop = loop
        self._upgraded = False
        self.was_answered = False
        self.gone: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._patience = self._loop.call_later(PATIENCE_S, transport.abort)
        transport.write(self._case.request)

    def data_received(self, data: bytes) -> None:
        self.was_answered = True
        if not self._upgraded and data.startswith(b"HTTP/1.1 101 ") and self._case.frames:
            self._upgraded = True
            self._transport.write(self._case.frames)
        else:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._patience.cancel()
        self.gone.set_result(None)
