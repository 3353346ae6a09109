import asyncio
import contextlib
from typing import Any

import pytest

from services.realtime import http_protocol
from services.realtime.http_protocol import PIPELINED
from tests.unit.realtime.fakes import counted
from tests.unit.realtime.served import served

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class App:
    """Answers with what it is told to, when it may."""

    def __init__(self, body: bytes = b"ok", *, times: int = 1) -> None:
        self.may = asyncio.Event()
        self.may.set()
        self.requests = 0
        self.failed: Exception | None = None
        self._body = body
        self._times = times

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.requests += 1
        try:
            await self.may.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(self._times):
                await send({"type": "http.response.body", "body": self._body, "more_body": True})
            await send({"type": "http.response.body"})
        except Exception as error:
            self.failed = error
            raise


async def _until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("head", [GET, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"])
async def test_who_takes_nothing_of_a_response_is_cut_off(monkeypatch: pytest.MonkeyPatch, head: bytes) -> None:
    monkeypatch.setattr(http_protocol, "STALL_S", 0.1)
    app = App(b"x" * 100_000, times=1_000)
    async with served(app) as place:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port, limit=1024)
        writer.write(head)
        await _until(lambda: place.connections)
        await _until(lambda: not place.connections)
        assert (app.requests, app.failed) == (1, None)
        with contextlib.suppress(ConnectionError):
            assert len(await reader.read()) < 50_000_000
        writer.close()


async def test_the_rest_of_a_last_response_has_its_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "STALL_S", 0.1)
    app = App(b"x" * 10_000_000)
    async with served(app) as place:
        _, writer = await asyncio.open_connection("127.0.0.1", place.port, limit=1024)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        await _until(lambda: app.requests)
        await _until(lambda: not place.connections)
        writer.close()


async def test_who_goes_while_several_requests_wait_is_missed_by_the_one_that_runs() -> None:
    running: list[Any] = []
    gone = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        running.append(scope)
        await receive()
        if len(running) == 1:
            writer.transport.abort()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})
        else:
            assert (await receive())["type"] == "http.disconnect"
            gone.set()

    async with served(app) as place:
        _, writer = await asyncio.open_connection("127.0.0.1", place.port)
        writer.write(GET * 3)
        async with asyncio.timeout(10):
            await gone.wait()
        assert len(running) == 2


async def test_requests_in_a_row_are_answered_in_their_order_up_to_a_limit() -> None:
    refused = counted("baton_refused_requests_total", status="400")
    app = App()
    async with served(app) as place:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
        writer.write(GET * (1 + PIPELINED))
        for _ in range(1 + PIPELINED):
            assert (await reader.readuntil(b"0\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert app.requests == 1 + PIPELINED
        app.may.clear()
        writer.write(GET * (2 + PIPELINED))
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        app.may.set()
        writer.close()
    assert (app.requests, app.failed) == (2 + PIPELINED, None)
    assert counted("baton_refused_requests_total", status="400") == refused + 1


async def test_a_connection_that_is_kept_alive_has_a_time_for_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "REQUEST_TIMEOUT_S", 0.15)
    async with served(App(), timeout_keep_alive=1) as place:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
        for _ in range(4):
            writer.write(GET[:10])
            await asyncio.sleep(0.08)
            writer.write(GET[10:])
            assert (await reader.readuntil(b"0\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            await asyncio.sleep(0.08)
        writer.write(GET[:10])
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        writer.close()
