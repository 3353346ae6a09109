"""One address in front of several gateways, as a load balancer is."""

import asyncio
import contextlib
from collections.abc import Sequence
from itertools import cycle
from typing import Self

BLOCK = 65_536


class Edge:
    """Each connection goes to the next gateway in turn that takes it; when either side ends it, so does the other."""

    def __init__(self, gateways: Sequence[int], port: int = 0) -> None:
        self._port = port
        self._gateways = len(gateways)
        self._turns = cycle(gateways)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        if self._server is None:
            raise RuntimeError("the edge is not open")
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("the server serves in tasks")
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        try:
            for _ in range(self._gateways):
                with contextlib.suppress(OSError):
                    beyond = await asyncio.open_connection("127.0.0.1", next(self._turns))
                    await self._pass_on((reader, writer), beyond)
                    return
        except asyncio.CancelledError:
            return  # the edge closes; asyncio's streams would log a cancelled connection as an error
        finally:
            writer.close()

    async def _pass_on(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        gateway: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        ways = {
            asyncio.create_task(_copy(client[0], gateway[1])),
            asyncio.create_task(_copy(gateway[0], client[1])),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            gateway[1].close()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        if self._connections:
            await asyncio.wait(self._connections)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(BLOCK):
            writer.write(data)
            await writer.drain()
