"""What the audience relies on: a transport's descriptor stays the client's until its protocol was told of the end."""

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

NEW_LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [uvloop.new_event_loop, asyncio.new_event_loop]


class Watching(asyncio.Protocol):
    """A client's protocol, which looks at its descriptor when it is told of the end."""

    def __init__(self) -> None:
        self.made = asyncio.Event()
        self.lost = asyncio.Event()
        self.was_mine = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.descriptor = transport.get_extra_info("socket").fileno()
        self.socket = os.fstat(self.descriptor).st_ino
        self.made.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.was_mine = os.fstat(self.descriptor).st_ino == self.socket
        self.lost.set()


def _hang_up(client: socket.socket) -> None:
    client.close()


def _reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize("new_loop", NEW_LOOPS)
@pytest.mark.parametrize("end", ["hang up", "reset", "reset while it is written to", "close", "abort"])
def test_a_descriptor_is_closed_after_its_protocol_was_told(
    new_loop: Callable[[], asyncio.AbstractEventLoop], end: str
) -> None:
    async def look() -> None:
        loop = asyncio.get_running_loop()
        watching = Watching()
        server = await loop.create_server(lambda: watching, "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            async with asyncio.timeout(10):
                await watching.made.wait()
            if end == "hang up":
                _hang_up(client)
            elif end.startswith("reset"):
                _reset(client)
                if end != "reset":
                    watching.transport.write(b"x" * (1 << 20))
            else:
                getattr(watching.transport, end)()
            async with asyncio.timeout(10):
                await watching.lost.wait()
        assert watching.was_mine
        server.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(look())
