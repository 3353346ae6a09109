"""Clients that flood, or never read: each is stopped at its limit, and the others notice nothing."""

import asyncio
import time
from contextlib import AsyncExitStack

import httpx
import pytest

from tests.integration.realtime.clients import join, until
from tests.integration.realtime.fuzz import attack, cases
from tests.integration.realtime.metrics import metric
from tests.integration.realtime.points import Points
from tests.integration.realtime.processes import gateway
from tests.integration.realtime.raw import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    handshake,
    joined,
    masked,
    raw,
    upgraded,
)
from tests.integration.realtime.target import MB, QUEUE_BYTES, Target


async def _serves(target: Target, points: Points) -> None:
    """The gateway does for a good client what it should."""
    session = await points.open()
    async with join(target.url, session) as client:
        await points.happen(session)
        await client.reach(session.seq)


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"GET / HTTP/1.1\r\nX: ", b"x" * 65_536),
        (b"GET / HTTP/1.1\r\n", b"X: y\r\n" * 10_000),
        (b"GET /", b"x" * 65_536),
        (b"", b"\r\n" * 32_768),
        (b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n", b"x" * 65_536),
        (
            b"POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"8000\r\n" + b"x" * 32_768 + b"\r\n",
        ),
        (b"POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ", b"x" * 65_536),
        (b"POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0;", b"x" * 65_536),
        (b"", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 2_000),
    ],
    ids=[
        "a header",
        "headers",
        "an address",
        "line ends",
        "a body",
        "chunks",
        "a trailer",
        "a chunk's name",
        "requests",
    ],
)
async def test_forty_megabytes_of_anything_are_neither_kept_nor_waited_for(
    target: Target, start: bytes, more: bytes
) -> None:
    before = target.rss
    async with raw(target.url) as client:
        client.stop_reading()
        client.write(start)
        await client.flood(more, 40 * MB // len(more))
        assert target.rss < before + 8 * MB


async def test_the_memory_for_one_client_is_bounded_whatever_it_floods(target: Target, points: Points) -> None:
    session = await points.open()
    before = target.rss
    floods = [
        masked(PING, b"x" * 125) * 500,
        masked(PONG) * 10_000,
        masked(CONTINUATION, fin=False) * 10_000,
        masked(TEXT, b"{") * 5_000,
        masked(TEXT, b'{"type": "ping"}') * 2_000,
        masked(BINARY) * 10_000,
        masked(TEXT, b"x" * 16_000) * 4,
        masked(TEXT, size=10_000) + b"x" * 60_000,
    ]
    for data in floods:
        async with joined(target.url, session) as client:
            client.stop_reading()
            await client.flood(data, 20 * MB // len(data))
            assert target.rss < before + 8 * MB
    await _serves(target, points)


async def test_who_never_reads_delays_nobody_and_is_closed_with_memory_bounded(
    target: Target, points: Points, http: httpx.AsyncClient
) -> None:
    session = await points.open()
    size, events, deaf = 40_000, 150, 10
    closes = await metric(http, target.url, "baton_closes_total", reason="slow_consumer")
    async with AsyncExitStack() as stack:
        good = [await stack.enter_async_context(join(target.url, session)) for _ in range(3)]

        async def latencies() -> list[float]:
            found = []
            for _ in range(events):
                started = time.perf_counter()
                await points.happen(session, size=size)
                await asyncio.gather(*(client.reach(session.seq) for client in good))
                found.append(time.perf_counter() - started)
            return sorted(found)

        alone = await latencies()
        before, descriptors = target.rss, target.descriptors
        for _ in range(deaf):
            (await stack.enter_async_context(joined(target.url, session, buffered=4096))).stop_reading()
        together = await latencies()
        assert target.rss < before + deaf * (QUEUE_BYTES + 2 * size) + 8 * MB
        for share in (0.5, 0.9):
            assert together[int(share * events)] < 2 * alone[int(share * events)] + 0.02
        assert together[-1] < alone[-1] + 0.5
        assert await metric(http, target.url, "baton_closes_total", reason="slow_consumer") == closes + deaf

        async def freed() -> bool:
            return target.descriptors <= descriptors

        await until(freed)
        for client in good:
            assert client.state == session.state


async def test_ten_thousand_attacks_leave_the_gateway_as_it_was(
    target: Target, points: Points, http: httpx.AsyncClient
) -> None:
    host, port = "127.0.0.1", int(target.url.rpartition(":")[2])
    await attack(host, port, cases(seed=1, count=1_000))
    await _serves(target, points)
    rss, descriptors, logged = target.rss, target.descriptors, target.log.stat().st_size
    answered = await attack(host, port, cases(seed=2, count=9_000))
    assert answered > 2_000
    await _serves(target, points)

    async def gone() -> bool:
        return target.descriptors <= descriptors

    await until(gone)
    assert target.to_valkey < 10
    assert target.rss < rss + 12 * MB
    assert target.log.stat().st_size < logged + 5_000, target.log.read_text()[-2_000:]
    assert (await http.get(f"{target.url}/readyz")).status_code == 200


async def test_sigterm_ends_it_in_time_whoever_is_attached(
    redis_url: str, points: Points, http: httpx.AsyncClient
) -> None:
    session = await points.open()
    async with gateway(redis_url, http, BATON_DRAIN_S="1") as running, AsyncExitStack() as stack:
        deaf = [await stack.enter_async_context(joined(running.url, session, buffered=4096)) for _ in range(5)]
        for client in deaf:
            client.stop_reading()
        for _ in range(100):
            await points.happen(session, size=40_000)
        mute = await stack.enter_async_context(upgraded(running.url))
        deaf_to_close = await stack.enter_async_context(joined(running.url, session))
        half_open = [await stack.enter_async_context(raw(running.url)) for _ in range(4)]
        half_open[1].write(b"GET / HT")
        half_open[2].write(b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx")
        half_open[3].write(handshake("x", "Cookie: " + "c" * 9_000))
        half_open[3].stop_reading()
        good = await stack.enter_async_context(join(running.url, session))
        started = time.monotonic()
        running.process.terminate()
        assert await good.closed() == (1012, "service_restart")
        async with asyncio.timeout(10):
            code = await running.process.wait()
        assert time.monotonic() - started < 8
        assert code == 0
        assert await mute.close_code() in {1012, 4500}
        assert await deaf_to_close.close_code() == 1012
