"""How the bytes of a client become frames: uvicorn's WebSocket protocol, with the limits that it leaves open.

uvicorn parses HTTP and makes the handshake. From then on a socket is ours: nothing waits for it, frames go straight to
its transport, and what a client does is bounded in time, bytes and number. This class reaches into uvicorn 0.54, to
whose minor version it is pinned; tests/integration/realtime/test_hostile_*.py guard an upgrade.
"""

import asyncio
from typing import Any, Final

from websockets.frames import Frame as WebSocketFrame
from websockets.protocol import State

from services.kit import metrics
from services.realtime.buckets import TokenBucket
from services.realtime.close_codes import Close
from services.realtime.http_protocol import LAST_WRITE_S, clients_log
from services.realtime.keepalive import PingingProtocol
from services.realtime.visitor import Visitor
from services.realtime.whole_frames import PING, PONG, TEXT, whole_frames

SOCKET_EXTENSION: Final = "baton.socket"
"""The ASGI extension by which an application gets hold of the socket itself."""

CLOSE_TIMEOUT_S: Final = 5.0
"""How long a client may take for what was written before a close, and for its own close."""
PARSED_AT_ONCE: Final = 4096
"""What comes at once may hold so many tiny frames that parsing them all would make everybody wait."""
LATE_BYTES: Final = 65_536
"""How much is read of a client that was told that it is closed, in search of its own close."""
FRAGMENTS: Final = 64
"""Of one message; the Autobahn suite sends 50."""
CONTROL_FRAMES_PER_S: Final = 10.0


class SocketProtocol(PingingProtocol):
    """A WebSocket that its application may take over once it has accepted it.

    Then the application's task may end, and the socket stays: messages go to the visitor, and `write` is the
    transport's own, which never waits.
    """

    _visitor: Visitor | None = None
    _control: TokenBucket | None = None
    _late_bytes = 0
    descriptor: int | None = None
    _parsing = False
    """Whether websockets' parser has been given anything but whole frames, and so has to be given all the rest."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = self.conn.logger = clients_log

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # The visitor is told at the first byte that the client does not take; it counts what waits.
        self.transport.set_write_buffer_limits(high=0)
        self.write = self.transport.write

    def take_over(self, visitor: Visitor) -> None:
        """From now on the socket is the visitor's."""
        self._visitor = visitor
        # What was needed for the handshake is half of what an idle connection would hold.
        del self.scope, self.request, self.response
        if self.disconnected:
            self._part()
            return
        if self.transport.get_extra_info("sslcontext") is None:
            # It is closed after `connection_lost`, and so never another client's while it is used here.
            self.descriptor = self.transport.get_extra_info("socket").fileno()
        if self.transport.get_write_buffer_size():
            visitor.pause()

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if not self.close_sent:
            extensions: Any = self.scope["extensions"]
            extensions[SOCKET_EXTENSION] = self

    async def run_asgi(self) -> None:
        try:
            await self.app(self.scope, self.receive, self.send)
        except Exception:
            if not self.disconnected:
                self.logger.exception("the application failed before it took the socket over")
            self.send_500_response()
        if self._visitor is None:
            self._close_transport()

    def data_received(self, data: bytes) -> None:
        if self._visitor is not None and not self._parsing and not self.close_sent and len(data) <= PARSED_AT_ONCE:
            frames = whole_frames(data, self.config.ws_max_size)
            if frames is not None:
                self._take(frames)
                return
        self._parsing = self.handshake_initiated or not data.endswith(b"\r\n\r\n")
        for start in range(0, len(data), PARSED_AT_ONCE):
            if self.transport.is_closing():
                return
            part = data[start : start + PARSED_AT_ONCE]
            if self.close_sent:
                self._late_bytes += len(part)
                if self._late_bytes > LATE_BYTES:
                    self.transport.abort()
                    return
            self._parse(part)

    def _take(self, frames: list[tuple[int, bytes]]) -> None:
        for first, payload in frames:
            if self.close_sent or self.transport.is_closing():
                return
            if first == PONG:
                if not self.take_pong(payload):
                    self._may_send_control_frame()
            elif first == PING:
                if self._may_send_control_frame():
                    self.write(bytes((PONG, len(payload))) + payload)
            else:
                self.curr_msg_data_type = "text" if first == TEXT else "bytes"
                self.frames = [payload]
                self.send_receive_event_to_app()

    def _parse(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # websockets' parser has refused the request, and uvicorn does not look.
            self.handshake_complete = self.close_sent = True
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self._close_transport()

    def send_receive_event_to_app(self) -> None:
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        if self.curr_msg_data_type == "text" and not _is_utf8(data):
            self._fail(1007, "invalid_utf8")
        elif self._visitor is None:
            self._fail(1008, "too_early")
        else:
            self._visitor.receive(data)

    def handle_cont(self, event: WebSocketFrame) -> None:
        if len(self.frames) >= FRAGMENTS:
            self._fail(1008, "too_many_fragments")
        else:
            super().handle_cont(event)

    def handle_ping(self) -> None:
        if self._may_send_control_frame():
            super().handle_ping()

    def handle_pong(self, event: WebSocketFrame) -> None:
        if not self.take_pong(bytes(event.data)):
            self._may_send_control_frame()

    def handle_close(self, event: WebSocketFrame) -> None:
        super().handle_close(event)
        self._part()
        self._abort_in(LAST_WRITE_S)

    def handle_parser_exception(self) -> None:
        super().handle_parser_exception()
        self._part()
        self._abort_in(LAST_WRITE_S)

    def keepalive_timeout(self) -> None:
        self._fail(*Close.NO_PONG.value)

    def close(self, code: int, reason: str) -> None:
        """Close after what was written, and abort where the client does not take that, or answer it, in time."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        self.stop_keepalive()
        if self.conn.state is State.OPEN:  # else the client's own close has come with what it is closed for
            self.conn.send_close(code, reason)
        self.close_sent = True
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_timer = self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)

    def shutdown(self) -> None:
        if self.handshake_complete and not self.close_sent:
            self.close(*Close.SERVICE_RESTART.value)
        else:
            super().shutdown()
        self._part()
        self._abort_in(LAST_WRITE_S)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._visitor is not None:
            self._visitor.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._visitor is not None:
            self._visitor.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._part()

    def _may_send_control_frame(self) -> bool:
        if self._control is None:
            self._control = TokenBucket(CONTROL_FRAMES_PER_S, CONTROL_FRAMES_PER_S)
        if self._control.take(self.loop.time()):
            return True
        self._fail(1008, "too_many_control_frames")
        return False

    def _fail(self, code: int, reason: str) -> None:
        """The client has broken a rule, or is silent: say so, and wait for nothing."""
        if self.close_sent or self.transport.is_closing():
            return
        metrics.closes.labels(reason).inc()
        self.stop_keepalive()
        if self.handshake_complete:
            self.conn.fail(code, reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._part()
        self._close_transport()

    def _part(self) -> None:
        """Nothing may be written behind a close, so the visitor need not know what becomes of the connection."""
        if self._visitor is not None:
            visitor, self._visitor = self._visitor, None
            visitor.lost()

    def _close_transport(self) -> None:
        self.transport.close()
        self._abort_in(LAST_WRITE_S)

    def _abort_in(self, delay_s: float) -> None:
        self.loop.call_later(delay_s, self.transport.abort)


def _is_utf8(data: bytes) -> bool:
    try:
        str(data, "utf-8")
    except UnicodeDecodeError:
        return False
    return True
