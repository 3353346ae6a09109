"""`WS /ws/game/{session_id}`: one client's visit from the handshake to the close."""

import asyncio
from collections.abc import MutableMapping
from typing import Any
from uuid import UUID

import structlog
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from contracts.ids import SessionId
from services.kit import metrics
from services.kit.supervise import stop
from services.kit.tokens import Verifier
from services.realtime import auth
from services.realtime.close_codes import Close, Refused
from services.realtime.connection import Connection, SocketGoneError
from services.realtime.entrance import Entrance
from services.realtime.hub import Room
from services.realtime.inbound import Inbound
from services.realtime.settings import RealtimeSettings

log = structlog.get_logger()

router = APIRouter()


class _ClientSocket:
    """Starlette's socket as a connection sees it."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def send(self, text: str) -> None:
        await self._send({"type": "websocket.send", "text": text})

    async def close(self, code: int, reason: str) -> None:
        await self._send({"type": "websocket.close", "code": code, "reason": reason})

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        try:
            await self._websocket.send(message)
        except (WebSocketDisconnect, RuntimeError) as error:
            # RuntimeError: the server has closed the socket by itself, for a missing pong or a broken protocol.
            raise SocketGoneError from error

    async def receive(self) -> str | bytes:
        """The client's next frame. Raises SocketGoneError when there is none any more."""
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise SocketGoneError
        text: str | None = message.get("text")
        data: bytes = message.get("bytes") or b""
        return data if text is None else text


class Visits:
    """What it takes to serve a client."""

    def __init__(self, settings: RealtimeSettings, verifier: Verifier, entrance: Entrance) -> None:
        self._settings = settings
        self._verifier = verifier
        self._entrance = entrance

    async def serve(self, websocket: WebSocket, session_id: str) -> None:
        """Serve one client until either side has closed the socket."""
        await websocket.accept(auth.accepted_subprotocol(websocket.scope["subprotocols"]))
        socket = _ClientSocket(websocket)
        connection = Connection(socket, self._settings.send_queue_bytes)
        with metrics.connections.track_inprogress():
            reading = asyncio.create_task(self._read(connection, socket, websocket, session_id), name="visit")
            reading.add_done_callback(lambda _: connection.end())
            try:
                await connection.write()
            finally:
                await stop([reading])

    async def _read(self, connection: Connection, socket: _ClientSocket, websocket: WebSocket, session_id: str) -> None:
        room: Room | None = None
        try:
            inbound = Inbound(connection, self._settings.max_frame_bytes)
            room = await self._enter(connection, socket, inbound, websocket, session_id)
            while connection.closing is None:
                inbound.handle(await socket.receive())
        except SocketGoneError:
            return
        except Refused as refused:
            connection.close(refused.close)
        except Exception:
            log.exception("visit_failed", session_id=session_id)
            connection.close(Close.ROOM_UNAVAILABLE)
        finally:
            if room is not None:
                room.members.discard(connection)

    async def _enter(
        self, connection: Connection, socket: _ClientSocket, inbound: Inbound, websocket: WebSocket, session_id: str
    ) -> Room:
        try:
            async with asyncio.timeout(self._settings.join_timeout_s):
                first = await socket.receive()
        except TimeoutError as error:
            raise Refused(Close.JOIN_TIMEOUT) from error
        join = inbound.join(first)
        token = join.token or auth.offered_token(websocket.scope["subprotocols"])
        identity = auth.authenticate(self._verifier, token)
        try:
            session = SessionId(UUID(session_id))
        except ValueError as error:
            raise Refused(Close.UNKNOWN_SESSION) from error
        return await self._entrance.enter(connection, session, identity, join)


@router.websocket("/ws/game/{session_id}")
async def game(websocket: WebSocket, session_id: str) -> None:
    """Everything that happens in a session, for its team's players, host and spectators. See docs/protocol.md."""
    visits: Visits = websocket.app.state.visits
    await visits.serve(websocket, session_id)
