"""`python -m tests.load.autobahn.echo PORT plain|baton`: a server that sends every message back."""

import sys
from typing import Any

import uvicorn
from websockets.frames import Frame, Opcode

from services.realtime.http_protocol import HttpProtocol
from services.realtime.socket_protocol import SOCKET_EXTENSION, SocketProtocol


class Echo:
    """A visitor that says what it hears."""

    def __init__(self, socket: SocketProtocol) -> None:
        self._socket = socket

    def receive(self, data: bytes) -> None:
        opcode = Opcode.TEXT if self._socket.curr_msg_data_type == "text" else Opcode.BINARY
        self._socket.write(Frame(opcode, data).serialize(mask=False))

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def lost(self) -> None: ...


async def baton(scope: Any, receive: Any, send: Any) -> None:
    """Hands the socket over, as the gateway does."""
    await receive()
    await send({"type": "websocket.accept"})
    socket = scope["extensions"][SOCKET_EXTENSION]
    socket.take_over(Echo(socket))


async def plain(scope: Any, receive: Any, send: Any) -> None:
    """What one would write on uvicorn."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send(message | {"type": "websocket.send"})


if __name__ == "__main__":
    port, kind = sys.argv[1:]
    options: dict[str, Any] = {"host": "127.0.0.1", "port": int(port), "lifespan": "off", "log_level": "critical"}
    if kind == "plain":
        uvicorn.run(plain, ws="websockets-sansio", **options)
    else:
        uvicorn.run(baton, http=HttpProtocol, ws=SocketProtocol, ws_per_message_deflate=False, **options)
