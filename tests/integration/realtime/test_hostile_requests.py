"""Clients whose requests are none, too large or too slow, or who leave in the middle of one: each is refused.

This is also what guards an upgrade of uvicorn, into whose protocols the gateway's reach.
"""

import asyncio
import time

import httpx
import pytest

from services.realtime.http_protocol import REQUEST_TIMEOUT_S
from tests.integration.realtime.clients import until
from tests.integration.realtime.metrics import metric
from tests.integration.realtime.points import Points
from tests.integration.realtime.raw import (
    handshake,
    join_of,
    raw,
    upgraded,
)
from tests.integration.realtime.target import Target


async def test_compression_is_not_agreed_to(target: Target) -> None:
    async with raw(target.url) as client:
        client.write(handshake("x", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"))
        status, head = await client.head()
        assert (status, "extensions" in head) == (101, False)


@pytest.mark.parametrize(
    "request_bytes",
    [
        handshake("x", line="POST /ws/game/x HTTP/1.1"),
        handshake("x", line="GET /ws/game/x HTTP/1.0"),
        handshake("x", drop="Sec-WebSocket-Key"),
        handshake("x", "Sec-WebSocket-Key: another"),
        handshake("x", "Sec-WebSocket-Key: dG9vIHNob3J0", drop="Sec-WebSocket-Key"),
        handshake("x", "Sec-WebSocket-Version: 12", drop="Sec-WebSocket-Version"),
        handshake("x", drop="Sec-WebSocket-Version"),
        handshake("x", "Content-Length: 5") + b"hello",
        handshake("x", "Transfer-Encoding: chunked"),
        handshake("x", line="GET /nothing/here HTTP/1.1"),
        handshake("x", line="GET /ws/game/\xe9 HTTP/1.1"),
        handshake("x", line="GET /ws/game/x?\xe9=\x7f HTTP/1.1"),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / SPDY/9\r\n\r\n",
        b"\x00" * 100,
        b"GET /ws/game/x HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
        b"CONNECT gateway:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=lambda value: value[:24].decode("latin-1") + f" {len(value)}",
)
async def test_a_request_that_is_none_is_refused_at_once(target: Target, request_bytes: bytes) -> None:
    started = time.monotonic()
    async with raw(target.url) as client:
        client.write(request_bytes)
        status, _ = await client.head()
        await client.ended()
    assert 400 <= status < 500
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "headers",
    [
        ["Cookie: " + "x" * 9_000],
        [f"X-{number}: x" for number in range(101)],
        [f"X-{number}: {'x' * 4_000}" for number in range(10)],
        ["X-" + "y" * 9_000 + ": 1"],
    ],
    ids=["one too long", "too many", "too much", "too long a name"],
)
@pytest.mark.parametrize("upgrade", [True, False])
async def test_too_large_a_head_is_431(target: Target, headers: list[str], *, upgrade: bool) -> None:
    async with raw(target.url) as client:
        client.write(handshake("x", *headers, drop="" if upgrade else "Upgrade"))
        status, head = await client.head()
        assert (status, "connection: close" in head) == (431, True)
        assert await client.ended() == b""


async def test_who_is_slow_with_a_request_is_given_up(target: Target, http: httpx.AsyncClient) -> None:
    before = await metric(http, target.url, "baton_refused_requests_total", status="408")

    async def slow(data: bytes, drip: bytes = b"") -> bytes:
        async with raw(target.url) as client:
            client.write(data)
            ending = asyncio.create_task(client.ended())
            started = time.monotonic()
            while drip and not ending.done():
                client.write(drip)
                await asyncio.wait({ending}, timeout=0.2)
            response = await ending
            assert REQUEST_TIMEOUT_S - 1 < time.monotonic() - started < REQUEST_TIMEOUT_S + 3
            return response[:13]

    post = b"POST /nothing HTTP/1.1\r\nHost: x\r\n"
    responses = await asyncio.gather(
        slow(b""),
        slow(b"GET / HTTP/1.1\r\n", b"X: y\r\n"),
        slow(b"", b"\r\n"),
        slow(handshake("x")[:-2]),
        slow(handshake("x")[:-2], b"X: y\r\n"),
        slow(post + b"Content-Length: 1000\r\n\r\n"),
        slow(post + b"Content-Length: 1000\r\n\r\n", b"x"),
        slow(post + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        slow(post + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
    )
    assert set(responses) == {b"HTTP/1.1 408 "}
    assert await metric(http, target.url, "baton_refused_requests_total", status="408") == before + len(responses)


async def test_who_is_gone_in_the_middle_of_a_handshake_or_a_join_leaves_nothing(
    target: Target, points: Points, http: httpx.AsyncClient
) -> None:
    session = await points.open()
    open_before = await metric(http, target.url, "baton_connections")
    descriptors = target.descriptors
    for _ in range(20):
        async with raw(target.url) as client:
            client.write(handshake(session.id))
        async with raw(target.url) as client:
            client.write(handshake(session.id)[:100])
        async with upgraded(target.url, session.id) as client:
            client.write(join_of(session))
        async with upgraded(target.url, session.id) as client:
            client.write(join_of(session)[:50])

    async def all_gone() -> bool:
        return (
            target.descriptors <= descriptors
            and await metric(http, target.url, "baton_connections") == open_before
            and await metric(http, target.url, "baton_paused_connections") == 0
        )

    await until(all_gone)
