"""A server that speaks RESP over a socket, and does only what a test tells it to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import hiredis

from services.kit.redis_client import connect
from services.realtime.topology import topology_of

SUBSCRIPTIONS = {b"SUBSCRIBE", b"SSUBSCRIBE", b"UNSUBSCRIBE", b"SUNSUBSCRIBE"}


class Peer(asyncio.Protocol):
    """One connection to the server. What a client does to set it up is answered and not kept."""

    def __init__(self, server: "FakeValkey") -> None:
        self._server = server
        self._reader = hiredis.Reader()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._server.peers.append(self)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (command := self._reader.gets()) is not False:
            self._take(command)

    def say(self, *words: object) -> None:
        self.write(bulk(*words))

    def write(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def _take(self, command: list[bytes]) -> None:
        if command[0] not in SUBSCRIPTIONS:
            self.write(b"+PONG\r\n" if command[0] == b"PING" else b"+OK\r\n")
            return
        self._server.commands.append(command)
        self._server.told.set()
        if self._server.confirming:
            for channel in command[1:]:
                self.say(command[0].lower(), channel, 1)


class FakeValkey:
    """Confirms subscriptions as long as it is `confirming`, keeps the `commands` it was given, knows its `peers`."""

    def __init__(self) -> None:
        self.confirming = True
        self.commands: list[list[bytes]] = []
        self.peers: list[Peer] = []
        self.told = asyncio.Event()
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FakeValkey"]:
        server = await asyncio.get_running_loop().create_server(lambda: Peer(self), "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        try:
            yield self
        finally:
            server.close()
            for peer in self.peers:
                assert peer.transport is not None
                peer.transport.abort()
            await server.wait_closed()

    def new_connection(self) -> Any:
        """A connection of redis-py to here, not made yet."""
        [new_connection] = topology_of(connect(self.url)).servers().values()
        return new_connection()

    def publish(self, channel: bytes, payload: bytes, kind: bytes = b"message") -> None:
        """Say something to whoever connected last."""
        self.peers[-1].say(kind, channel, payload)

    def hang_up(self) -> None:
        for peer in self.peers:
            assert peer.transport is not None
            peer.transport.close()

    async def hear(self, *command: bytes) -> None:
        """Wait until it was given that command."""
        async with asyncio.timeout(10):
            while list(command) not in self.commands:
                self.told.clear()
                await self.told.wait()


def bulk(*words: object) -> bytes:
    """An array of strings and numbers, as a server sends it."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        parts.append(
            b":%d\r\n" % word if isinstance(word, int) else b"$%d\r\n%b\r\n" % (len(str_of(word)), str_of(word))
        )
    return b"".join(parts)


def str_of(word: object) -> bytes:
    assert isinstance(word, bytes)
    return word
