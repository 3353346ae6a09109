"""One client's visit, from the accepted handshake to the last byte. Between its frames no task waits for it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol
from uuid import UUID

import structlog

from contracts.frames import Join
from contracts.ids import SessionId
from services.kit import metrics
from services.kit.supervise import stop
from services.kit.tokens import Identity, Verifier
from services.realtime import auth
from services.realtime.close_codes import Close, Refused
from services.realtime.connection import Connection, Wire
from services.realtime.entrance import Entrance
from services.realtime.inbound import Inbound, Line, Outlets, Speaker
from services.realtime.limits import Limits
from services.realtime.presence import Presence
from services.realtime.room import Room
from services.realtime.settings import RealtimeSettings
from services.realtime.visitor import Visitor

log = structlog.get_logger()

_connections = metrics.connections.labels("websocket")

EARLY_FRAMES = 8
"""How many frames may follow the join before it was answered."""


class Socket(Wire, Line, Protocol):
    """A WebSocket whose handshake is done."""

    def take_over(self, visitor: Visitor) -> None:
        """From now on everything of this socket goes to the visitor."""


class Visits:
    """What it takes to serve clients, and those who are being served."""

    def __init__(
        self,
        settings: RealtimeSettings,
        verifier: Verifier,
        entrance: Entrance,
        limits: Limits,
        presence: Presence,
        outlets: Outlets,
    ) -> None:
        self.settings = settings
        self.verifier = verifier
        self.entrance = entrance
        self.limits = limits
        self.presence = presence
        self.outlets = outlets
        self.open: set[Visit] = set()
        self._joins: set[asyncio.Task[None]] = set()

    def begin(self, socket: Socket, session_id: str, address: str, offered_token: str | None) -> None:
        """Serve a client from now on."""
        visit = Visit(self, socket, session_id, address, offered_token)
        self.open.add(visit)
        self.limits.connect(address)
        _connections.inc()
        socket.take_over(visit)

    def end(self, visit: "Visit") -> None:
        """The client has gone."""
        self.open.discard(visit)
        self.limits.disconnect(visit.address)
        if visit.identity is not None:
            self.limits.leave(visit.identity.subject)
        _connections.dec()

    def start_join(self, join: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let somebody in, in the background."""
        task = asyncio.get_running_loop().create_task(join, name="join")
        self._joins.add(task)
        task.add_done_callback(self._joins.discard)
        return task

    async def close(self) -> None:
        """Stop letting people in."""
        await stop(list(self._joins))


class Visit:
    """A client: nobody until its first frame says who it is, then a member of a room."""

    __slots__ = (
        "_deadline", "_early", "_inbound", "_session_id", "_token", "_visits",
        "address", "connection", "identity", "room",
    )  # fmt: skip

    def __init__(
        self, visits: Visits, socket: Socket, session_id: str, address: str, offered_token: str | None
    ) -> None:
        self._visits = visits
        self.address = address
        self._session_id = session_id
        self._token = offered_token
        self._early: list[bytes] | None = None
        self.connection = Connection(socket, visits.settings.send_queue_bytes)
        self._inbound = Inbound(self.connection, socket, visits.outlets)
        self.identity: Identity | None = None
        self.room: Room | None = None
        self._deadline: asyncio.TimerHandle | None = asyncio.get_running_loop().call_later(
            visits.settings.join_timeout_s, self.connection.close, Close.JOIN_TIMEOUT
        )

    def receive(self, data: bytes) -> None:
        """Take a message: the first is the join, what comes until that was answered has to wait."""
        if self.connection.closing is not None:
            return
        try:
            if self.room is not None:
                self._inbound.handle(data)
            elif self._early is None:
                self._early = []
                self._end_deadline()
                self._begin(data)
            elif len(self._early) < EARLY_FRAMES:
                self._early.append(data)
            else:
                raise Refused(Close.BAD_FRAMES)
        except Refused as refused:
            self.connection.close(refused.close)

    def pause(self) -> None:
        self.connection.pause()

    def resume(self) -> None:
        self.connection.resume()

    def lost(self) -> None:
        """Leave."""
        self._end_deadline()
        self.connection.lost()
        if self.room is not None:
            self.room.leave(self.connection)
            if self.identity is not None:
                self._visits.presence.leave(self.room.session_id, self.identity)
        self._visits.end(self)

    def _begin(self, data: bytes) -> None:
        join = self._inbound.join(data)
        self._token = join.token or self._token
        identity = auth.authenticate(self._visits.verifier, self._token)
        try:
            session_id = SessionId(UUID(self._session_id))
        except ValueError as error:
            raise Refused(Close.UNKNOWN_SESSION) from error
        self._visits.limits.join(identity.subject)
        self.identity = identity
        self._check_expiry()
        if self.connection.closing is None:
            self._visits.start_join(self._enter(session_id, identity, join))

    async def _enter(self, session_id: SessionId, identity: Identity, join: Join) -> None:
        try:
            room = await self._visits.entrance.enter(self.connection, session_id, identity, join)
        except Refused as refused:
            self.connection.close(refused.close)
        except Exception:
            log.exception("visit_failed", session_id=str(session_id))
            self.connection.close(Close.ROOM_UNAVAILABLE)
        else:
            self._be_in(room, identity)

    def _be_in(self, room: Room, identity: Identity) -> None:
        if self not in self._visits.open:
            room.leave(self.connection)  # the client went while it was let in
            return
        self.room = room
        token, self._token = self._token or "", None
        self._inbound.speaker = Speaker.of(room.session_id, identity, token)
        self._visits.presence.join(room.session_id, identity)
        if self._visits.limits.draining:
            self.connection.close(Close.SERVICE_RESTART)  # all others were sent away before this one was in
        early, self._early = self._early or [], []
        for data in early:
            self.receive(data)

    def _check_expiry(self) -> None:
        """Close when the token has expired and the grace is over; it may have been refreshed since."""
        identity = self._inbound.speaker.identity if self._inbound.speaker else self.identity
        left_s = 0.0 if identity is None else auth.expires_in_s(identity, self._visits.settings.token_grace_s)
        if left_s > 0:
            self._deadline = asyncio.get_running_loop().call_later(left_s, self._check_expiry)
        else:
            self.connection.close(Close.EXPIRED_TOKEN)

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
