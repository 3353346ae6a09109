"""An application behind the gateway's protocols, on a port of this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from uvicorn import Config
from uvicorn.server import ServerState

from services.kit.supervise import stop
from services.realtime.http_protocol import HttpProtocol
from services.realtime.socket_protocol import SocketProtocol


class Served(NamedTuple):
    """Where it is served, and who is connected: an HttpProtocol, or the SocketProtocol that it became."""

    port: int
    connections: set[Any]


@asynccontextmanager
async def served(app: Any, **options: Any) -> AsyncIterator[Served]:
    config = Config(app, http=HttpProtocol, ws=SocketProtocol, lifespan="off", log_config=None, **options)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: HttpProtocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    try:
        yield Served(server.sockets[0].getsockname()[1], state.connections)
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await stop(state.tasks)
        await server.wait_closed()
