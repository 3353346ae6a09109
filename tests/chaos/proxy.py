"""A TCP proxy before a server that passes everything on, and while told to, breaks connections where it hurts most.

What a client sent is executed and the reply lost, or of several commands sent in one piece only the first ones arrive.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import cast

HOST = "127.0.0.1"
EXECUTED_WITHIN_S = 0.05
HALF = 0.2
"""Of the breaks, those in which a part of what was sent does not arrive."""


class Proxy:
    """Listens on one port for the server on another."""

    def __init__(
        self, port: int, server_port: int, chance: random.Random, rewrite: Callable[[bytes], bytes] | None = None
    ) -> None:
        self.port = port
        self.server_port = server_port
        self._losing = 0.0
        self._surely = 0
        self.counts: Counter[str] = Counter()
        self.rewrite = rewrite
        self._chance = chance

    async def listen(self) -> asyncio.Server:
        """Take connections, until the server that is returned is closed."""
        return await asyncio.get_running_loop().create_server(lambda: Client(self), HOST, self.port)

    def lose(self, part: float) -> None:
        """From now on lose this part of all replies, the next one in any case."""
        self._losing, self._surely = part, int(part > 0)

    def loses_reply(self) -> bool:
        if self._surely > 0:
            self._surely -= 1
            return True
        return self._chance.random() < self._losing

    def part_of(self, sent: bytes) -> bytes | None:
        """The part that arrives; None where all of it does."""
        if self._chance.random() >= self._losing * HALF:
            return None
        return sent[: self._chance.randrange(len(sent))]


class Client(asyncio.Protocol):
    """The side of whoever connects."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._early = bytearray()
        self._server: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport
        self.broken = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        try:
            server, _ = await asyncio.get_running_loop().create_connection(
                lambda: Server(self), HOST, self._proxy.server_port
            )
        except OSError:
            self._transport.abort()
            return
        if self._transport.is_closing():
            server.abort()
            return
        self._server = server
        server.write(bytes(self._early))

    def data_received(self, data: bytes) -> None:
        if self.broken:
            return
        if self._proxy.rewrite is not None:
            data = self._proxy.rewrite(data)
        if self._server is None:
            self._early += data
            return
        if (part := self._proxy.part_of(data)) is not None:
            self._proxy.counts["sent in part"] += 1
            self.broken = True
            self._server.write(part)
            asyncio.get_running_loop().call_later(EXECUTED_WITHIN_S, self.abort)
            return
        self._server.write(data)

    def reply(self, data: bytes) -> None:
        """The server has answered."""
        if self.broken:
            return
        if self._proxy.loses_reply():
            self._proxy.counts["replies lost"] += 1
            self.abort()
            return
        self._transport.write(data)

    def abort(self) -> None:
        """Cut both sides."""
        self.broken = True
        self._transport.abort()
        if self._server is not None:
            self._server.abort()

    def connection_lost(self, _: Exception | None) -> None:
        if self._server is not None:
            self._server.close()


class Server(asyncio.Protocol):
    """The side of the server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def data_received(self, data: bytes) -> None:
        self._client.reply(data)

    def connection_lost(self, _: Exception | None) -> None:
        self._client.abort()
