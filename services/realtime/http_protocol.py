"""Requests within limits of time and size: what uvicorn's HTTP protocol leaves open. It reaches into uvicorn 0.54, to
whose minor version it is pinned; tests/integration/realtime/test_hostile_*.py guard an upgrade.
"""

import asyncio
import logging
import socket
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from services.kit import metrics

REQUEST_TIMEOUT_S: Final = 5.0
"""From the first byte, or the connection, to the end of a request. The gateway is sent nothing that takes longer."""
STALL_S: Final = 10.0
"""How long a client may take for what waits of a response before more is read from the application."""
UNACKNOWLEDGED_S: Final = 30.0
"""How long the kernel goes on trying to send what a client does not take, or does not answer for; of sockets too."""
LAST_WRITE_S: Final = 2.0
"""How long what is left in the transport may take when there is nothing more to be said."""
HEAD_BYTES: Final = 16_384
HEADER_BYTES: Final = 8_000
HEADERS: Final = 100
PIPELINED: Final = 16
"""How many requests may wait for the response to an earlier one."""
REQUEST_BYTES: Final = 1 << 20
"""All of a request: the application refuses bodies far smaller than that, but is never shown trailers."""

BAD_REQUEST: Final = 400, b"Bad Request"
TOO_LARGE_A_HEAD: Final = 431, b"Request Header Fields Too Large"

_USER_TIMEOUT: Final[int | None] = getattr(socket, "TCP_USER_TIMEOUT", None)  # Linux has it

# What clients do wrong is counted, not logged: they must not be able to fill a disk with a line for each try.
clients_log = logging.getLogger("uvicorn.error.clients")
clients_log.setLevel(logging.ERROR)


class HttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 for one client: 431, 413 and 408 beyond the limits, and no patience with who takes no response."""

    cycle: RequestResponseCycle | None  # type: ignore[assignment]  # None until the first request's head is complete
    _running: RequestResponseCycle | None = None
    _deadline: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None
    _in_head = True
    _request_bytes = 0
    _refusal: tuple[int, bytes] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = clients_log

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if _USER_TIMEOUT is not None:
            # Without it a stream's client that has vanished, or reads nothing of the little there is, stays for ages.
            connection: socket.socket = transport.get_extra_info("socket")
            connection.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, round(UNACKNOWLEDGED_S * 1000))
        self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_deadline()
        self._end_stall()
        if self._running is not None:
            # uvicorn tells the newest request only, which need not be the one that is being answered.
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._start_deadline()
        self._request_bytes += len(data)
        if self._in_head and self._request_bytes > HEAD_BYTES and b"\r\n\r\n" not in data[: HEAD_BYTES + 4]:
            self._refuse(*TOO_LARGE_A_HEAD)
        elif self._request_bytes > REQUEST_BYTES:
            self._refuse(413, b"Content Too Large")
        else:
            super().data_received(data)

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) + len(value) > HEADER_BYTES or len(self.headers) >= HEADERS:
            self._refusal = TOO_LARGE_A_HEAD
            raise ValueError("too large a header")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        if len(self.pipeline) >= PIPELINED:
            raise ValueError("too many requests at once")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._end_deadline()
        self._request_bytes = 0
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self.loop.call_later(STALL_S, self.transport.abort)

    def handle_websocket_upgrade(self) -> None:
        self._end_deadline()
        if self.parser.get_http_version() == "1.1":
            super().handle_websocket_upgrade()
            # They hold each other, so that both would stay in memory until the garbage is collected.
            self.parser = None  # type: ignore[assignment]  # nothing more is received here
        else:
            self._refuse(*BAD_REQUEST)

    def send_400_response(self, msg: str) -> None:
        self._refuse(*self._refusal or BAD_REQUEST)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall = self.loop.call_later(STALL_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._end_stall()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self.loop.call_later(LAST_WRITE_S, self.transport.abort)

    def shutdown(self) -> None:
        super().shutdown()
        self.loop.call_later(LAST_WRITE_S, self.transport.abort)

    def _start_deadline(self) -> None:
        self._deadline = self.loop.call_later(REQUEST_TIMEOUT_S, self._time_out)

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _time_out(self) -> None:
        self._deadline = None
        self._refuse(408, b"Request Timeout")

    def _refuse(self, status: int, phrase: bytes) -> None:
        if self.transport.is_closing():
            return
        metrics.refused_requests.labels(status).inc()
        self._end_deadline()
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(b"HTTP/1.1 %d %b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % (status, phrase))
        self.transport.close()
        self.loop.call_later(LAST_WRITE_S, self.transport.abort)
