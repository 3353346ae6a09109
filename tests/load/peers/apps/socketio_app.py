"""python-socketio with its Redis manager."""

import os
from typing import Any
from urllib.parse import parse_qs

import socketio

server = socketio.AsyncServer(
    async_mode="asgi",
    client_manager=socketio.AsyncRedisManager(os.environ["REDIS_URL"]),
    transports=["websocket"],
    cors_allowed_origins="*",
)


@server.event
async def connect(sid: str, environ: dict[str, Any], auth: object) -> None:
    """Let the client into the room that it names."""
    [room] = parse_qs(environ["QUERY_STRING"])["room"]
    await server.enter_room(sid, room)


app = socketio.ASGIApp(server)
