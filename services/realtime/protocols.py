"""How bytes of clients become requests and frames: uvicorn's protocols, with the limits that they leave open.

uvicorn parses HTTP and makes the WebSocket handshake. From then on a socket is ours: nothing waits for it, frames go
straight to its transport, and what a client does is bounded in time, bytes and number. These classes reach into uvicorn
0.54, to whose minor version they are pinned; tests/integration/realtime/test_hostile.py guards an upgrade.
"""

import asyncio
from typing import Any, Final, Protocol

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame as WebSocketFrame

from services.kit import metrics
from services.realtime.buckets import TokenBucket

SOCKET_EXTENSION: Final = "baton.socket"
"""The ASGI extension by which an application gets hold of the socket itself."""

REQUEST_TIMEOUT_S: Final = 5.0
"""From the first byte, or the connection, to the end of a request. The gateway is sent nothing that takes longer."""
HEAD_BYTES: Final = 16_384
HEADER_BYTES: Final = 8_000
HEADERS: Final = 100

CLOSE_TIMEOUT_S: Final = 5.0
"""How long a client may take for what was written before a close, and for its own close."""
LAST_WRITE_S: Final = 2.0
"""How long what is left in the transport may take when there is nothing more to be said."""
FRAGMENTS: Final = 32
CONTROL_FRAMES_PER_S: Final = 10.0
PONGS_BYTES: Final = 65_536


class Visitor(Protocol):
    """Whoever a socket belongs to after its handshake. None of these waits or raises."""

    def receive(self, data: bytes) -> None:
        """A whole message of the client."""

    def pause(self) -> None:
        """The client does not take what was written."""

    def resume(self) -> None:
        """The client has taken all that was written."""

    def lost(self) -> None:
        """The connection is gone; nothing is called after this."""


class HttpProtocol(HttpToolsProtocol):
    """Requests within limits of time and size; 431 and 408 otherwise."""

    cycle: RequestResponseCycle | None  # type: ignore[assignment]  # None until the first request's head is complete
    _deadline: asyncio.TimerHandle | None = None
    _in_head = True
    _head_bytes = 0
    _refusal: tuple[int, bytes] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._start_deadline()
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES and b"\r\n\r\n" not in data[: HEAD_BYTES + 4]:
                self._refuse(431, b"Request Header Fields Too Large")
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) + len(value) > HEADER_BYTES or len(self.headers) >= HEADERS:
            self._refusal = 431, b"Request Header Fields Too Large"
            raise ValueError("too large a header")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._end_deadline()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        if self._refusal is not None:
            self._refuse(*self._refusal)
        else:
            super().send_400_response(msg)

    def shutdown(self) -> None:
        super().shutdown()
        self.loop.call_later(LAST_WRITE_S, self.transport.abort)

    def _start_deadline(self) -> None:
        self._deadline = self.loop.call_later(REQUEST_TIMEOUT_S, self._time_out)

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _time_out(self) -> None:
        self._deadline = None
        self._refuse(408, b"Request Timeout")

    def _refuse(self, status: int, phrase: bytes) -> None:
        if self.transport.is_closing():
            return
        metrics.refused_requests.labels(status).inc()
        self._end_deadline()
        self.transport.write(b"HTTP/1.1 %d %b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % (status, phrase))
        self.transport.close()
        self.loop.call_later(LAST_WRITE_S, self.transport.abort)


class SocketProtocol(WebSocketsSansIOProtocol):
    """A WebSocket that its application may take over once it has accepted it.

    Then the application's task may end, and the socket stays: messages go to the visitor, and `write` is the
    transport's own, which never waits.
    """

    _visitor: Visitor | None = None
    _control: TokenBucket | None = None

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

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if not self.close_sent:
            extensions: Any = self.scope["extensions"]
            extensions[SOCKET_EXTENSION] = self

    async def run_asgi(self) -> None:
        try:
            await self.app(self.scope, self.receive, self.send)
        except Exception:
            self.logger.exception("the application failed before it took the socket over")
            self.send_500_response()
        if self._visitor is None:
            self._close_transport()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # websockets' parser has refused the request, and uvicorn does not look.
            self.handshake_complete = self.close_sent = True
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self._close_transport()

    def send_receive_event_to_app(self) -> None:
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self._visitor is not None and not self.close_sent:
            self._visitor.receive(data)
        elif self._visitor is None:
            self._fail(1008, "too_early")

    def handle_cont(self, event: WebSocketFrame) -> None:
        if len(self.frames) >= FRAGMENTS:
            self._fail(1008, "too_many_fragments")
        else:
            super().handle_cont(event)

    def handle_ping(self) -> None:
        if self._control is None:
            self._control = TokenBucket(CONTROL_FRAMES_PER_S, CONTROL_FRAMES_PER_S)
        if self._control.take(self.loop.time()) and self.transport.get_write_buffer_size() < PONGS_BYTES:
            super().handle_ping()
        else:
            self._fail(1008, "too_many_pings")

    def handle_close(self, event: WebSocketFrame) -> None:
        super().handle_close(event)
        self._abort_in(LAST_WRITE_S)

    def handle_parser_exception(self) -> None:
        super().handle_parser_exception()
        self._abort_in(LAST_WRITE_S)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        metrics.closes.labels("no_pong").inc()
        self._abort_in(LAST_WRITE_S)

    def close(self, code: int, reason: str) -> None:
        """Close after what was written, and abort where the client does not take that, or answer it, in time."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        self.stop_keepalive()
        self.conn.send_close(code, reason)
        self.close_sent = True
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_timer = self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)

    def shutdown(self) -> None:
        if self.handshake_complete and not self.close_sent:
            self.close(1012, "service_restart")
        else:
            super().shutdown()
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
        if self._visitor is not None:
            self._visitor.lost()
            self._visitor = None

    def _fail(self, code: int, reason: str) -> None:
        """The client has broken a rule: say so, and wait for nothing."""
        if self.close_sent or self.transport.is_closing():
            return
        metrics.closes.labels(reason).inc()
        self.stop_keepalive()
        if self.handshake_complete:
            self.conn.fail(code, reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._close_transport()

    def _close_transport(self) -> None:
        self.transport.close()
        self._abort_in(LAST_WRITE_S)

    def _abort_in(self, delay_s: float) -> None:
        self.loop.call_later(delay_s, self.transport.abort)
