import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from services.realtime import socket_protocol
from services.realtime.socket_protocol import SOCKET_EXTENSION, SocketProtocol
from tests.unit.realtime.fakes import counted
from tests.unit.realtime.served import Served, served

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Guest:
    """A visitor that keeps what it is told."""

    def __init__(self) -> None:
        self.socket: SocketProtocol | None = None
        self.messages: list[bytes] = []
        self.states: list[str] = []
        self.told = asyncio.Event()

    def receive(self, data: bytes) -> None:
        self.messages.append(data)
        self.told.set()

    def pause(self) -> None:
        self._note("pause")

    def resume(self) -> None:
        self._note("resume")

    def lost(self) -> None:
        self._note("lost")

    async def until(self, state: str) -> None:
        async with asyncio.timeout(10):
            while state not in self.states:
                self.told.clear()
                await self.told.wait()

    def _note(self, state: str) -> None:
        self.states.append(state)
        self.told.set()


class Inn:
    """An application that hands its sockets over to one guest, as soon as it may."""

    def __init__(self) -> None:
        self.guest = Guest()
        self.may = asyncio.Event()
        self.may.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await self.may.wait()
        self.guest.socket = scope["extensions"][SOCKET_EXTENSION]
        self.guest.socket.take_over(self.guest)


@asynccontextmanager
async def visiting(place: Served, **options: Any) -> AsyncIterator[ClientConnection]:
    url = f"ws://127.0.0.1:{place.port}/"
    async with connect(url, proxy=None, compression=None, **{"ping_interval": None} | options) as client:
        yield client


async def _close_of(client: ClientConnection) -> tuple[int, str]:
    async def read_all() -> None:
        while True:
            await client.recv()

    async with asyncio.timeout(10):
        with pytest.raises(ConnectionClosed) as closed:
            await read_all()
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.002)


async def test_a_visitor_is_given_messages_and_writes_when_the_application_has_long_ended() -> None:
    inn = Inn()
    async with served(inn) as place, visiting(place) as client:
        await client.send("text")
        await client.send(b"bytes")
        await client.send(["in ", "pieces"])
        await _until(lambda: len(inn.guest.messages) == 3)
        assert inn.guest.messages == [b"text", b"bytes", b"in pieces"]
        assert inn.guest.socket is not None
        inn.guest.socket.write(b"\x81\x05hello")
        assert await client.recv() == "hello"
        inn.guest.socket.close(4000, "enough")
        assert await _close_of(client) == (4000, "enough")
    assert inn.guest.states == ["lost"]


async def test_a_visitor_learns_that_the_client_takes_nothing_and_when_it_has_taken_all() -> None:
    inn = Inn()
    async with served(inn) as place, visiting(place, max_queue=1, max_size=None) as client:
        await client.send("here")
        while inn.guest.socket is None or not inn.guest.states:
            await asyncio.sleep(0)
            if inn.guest.socket is not None:
                inn.guest.socket.write(b"\x82\x7f" + (1 << 20).to_bytes(8) + bytes(1 << 20))
        assert inn.guest.states == ["pause"]
        reading = asyncio.create_task(_close_of(client))
        await inn.guest.until("resume")
        assert inn.guest.socket.transport.get_write_buffer_size() == 0
        inn.guest.socket.close(4000, "enough")
        assert await reading == (4000, "enough")


async def test_a_visit_begins_paused_where_the_client_has_not_taken_what_was_written_before() -> None:
    inn = Inn()
    inn.may.clear()
    async with served(inn) as place, visiting(place, max_queue=1, max_size=None) as client:
        (socket,) = place.connections
        for _ in range(16):
            socket.transport.write(b"\x82\x7f" + (1 << 20).to_bytes(8) + bytes(1 << 20))
        inn.may.set()
        await inn.guest.until("pause")
        assert inn.guest.states == ["pause"]
        reading = asyncio.create_task(_close_of(client))
        await inn.guest.until("resume")
        socket.close(4000, "enough")
        assert await reading == (4000, "enough")


async def test_a_client_that_answers_no_ping_is_closed_and_counted() -> None:
    inn = Inn()
    before = counted("baton_closes_total", reason="no_pong")
    async with served(inn, ws_ping_interval=0.05, ws_ping_timeout=0.05) as place:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
        writer.write(HANDSHAKE)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        ping = await reader.readexactly(6)
        assert ping[:2] == b"\x89\x04"
        rest = await reader.read()
        assert (rest[0], rest[2:4]) == (0x88, (4003).to_bytes(2))
        writer.close()
    assert (inn.guest.states, counted("baton_closes_total", reason="no_pong")) == (["lost"], before + 1)


async def test_a_client_that_answers_pings_may_stay_and_its_way_is_measured() -> None:
    inn = Inn()
    async with served(inn, ws_ping_interval=0.01, ws_ping_timeout=5.0) as place, visiting(place):
        await _until(lambda: inn.guest.socket is not None and inn.guest.socket.last_ping_rtt)
        assert inn.guest.states == []


async def test_who_could_not_answer_since_the_gateway_stood_still_has_the_time_of_a_ping_again() -> None:
    inn = Inn()
    async with served(inn, ws_ping_interval=0.4, ws_ping_timeout=0.4) as place:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
        writer.write(HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")
        ping = await reader.readexactly(6)
        time.sleep(2.0)  # noqa: ASYNC251 (the whole process stands, for several turns of pings)
        began = time.monotonic()
        while time.monotonic() < began + 0.2:  # noqa: ASYNC110 (no event tells that nothing more is due)
            await asyncio.sleep(0)  # and whatever was due meanwhile is done
        assert inn.guest.states == []
        writer.write(b"\x8a\x84" + bytes(4) + ping[2:])
        assert (await reader.readexactly(2)) == ping[:2]
        assert (await reader.readexactly(4)) != ping[2:]
        writer.close()


async def test_who_was_gone_before_the_visit_began_is_lost_at_once() -> None:
    inn = Inn()
    inn.may.clear()
    async with served(inn) as place:
        async with visiting(place):
            pass
        await _until(lambda: not place.connections)
        inn.may.set()
        await inn.guest.until("lost")
    assert (inn.guest.states, inn.guest.messages) == (["lost"], [])


async def test_who_speaks_before_the_visit_has_begun_is_closed() -> None:
    inn = Inn()
    inn.may.clear()
    async with served(inn) as place, visiting(place) as client:
        await client.send("hello")
        assert await _close_of(client) == (1008, "too_early")
        inn.may.set()
        await inn.guest.until("lost")
    assert inn.guest.messages == []


@pytest.mark.parametrize("reads", [True, False])
async def test_a_close_is_waited_for_and_then_enforced(monkeypatch: pytest.MonkeyPatch, *, reads: bool) -> None:
    monkeypatch.setattr(socket_protocol, "CLOSE_TIMEOUT_S", 0.1)
    inn = Inn()
    async with served(inn) as place, visiting(place, max_queue=1, close_timeout=0.1) as client:
        await client.send("here")
        await _until(lambda: inn.guest.messages)
        assert inn.guest.socket is not None
        if not reads:
            client.transport.pause_reading()
        inn.guest.socket.close(4000, "enough")
        await inn.guest.until("lost")
        assert not place.connections


async def test_a_shutdown_tells_the_client_to_come_back_and_does_not_wait_for_it() -> None:
    inn = Inn()
    async with served(inn) as place, visiting(place) as client:
        await client.send("here")
        await _until(lambda: inn.guest.messages)
        for connection in list(place.connections):
            connection.shutdown()
        assert inn.guest.states == ["lost"]
        assert await _close_of(client) == (1012, "service_restart")


async def test_an_application_that_fails_is_told_to_the_log_and_to_the_client(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("cannot")

    async with served(broken) as place:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
        writer.write(HANDSHAKE)
        assert (await reader.read()).startswith(b"HTTP/1.1 500 ")
        writer.close()
    assert "the application failed" in caplog.text
