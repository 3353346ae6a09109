"""Clients that want to do harm: each is stopped at its limit, and the others notice nothing.

This is also what guards an upgrade of uvicorn, into whose protocols the gateway's reach.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil
import pytest

from services.realtime.http_protocol import REQUEST_TIMEOUT_S
from services.realtime.visit import EARLY_FRAMES
from tests.integration.realtime.clients import join, until
from tests.integration.realtime.fuzz import attack, cases
from tests.integration.realtime.metrics import metric
from tests.integration.realtime.points import Points
from tests.integration.realtime.processes import gateway
from tests.integration.realtime.raw import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    handshake,
    join_of,
    joined,
    masked,
    raw,
    upgraded,
)
from tests.no_tls import NO_TLS

MB = 1 << 20
QUEUE_BYTES = 1 << 18


class Target(NamedTuple):
    """A gateway under attack."""

    url: str
    process: psutil.Process
    log: Path

    @property
    def rss(self) -> int:
        return int(self.process.memory_info().rss)

    @property
    def descriptors(self) -> int:
        return int(self.process.num_fds())


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gateway") / "log"


@pytest.fixture(scope="module")
async def target(redis_url: str, log: Path) -> AsyncIterator[Target]:
    settings = {"BATON_SEND_QUEUE_BYTES": str(QUEUE_BYTES), "BATON_JOIN_TIMEOUT_S": "1", "BATON_LOG_LEVEL": "INFO"}
    with log.open("wb") as output:
        async with (
            httpx.AsyncClient(trust_env=False, verify=NO_TLS) as http,
            gateway(redis_url, http, output, **settings) as running,
        ):
            yield Target(running.url, psutil.Process(running.process.pid), log)
            assert running.process.returncode is None


async def _serves(target: Target, points: Points) -> None:
    """The gateway does for a good client what it should."""
    session = await points.open()
    async with join(target.url, session) as client:
        await points.happen(session)
        await client.reach(session.seq)


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (masked(TEXT, b"{}", mask=False), 1002),
        *[(masked(TEXT, b"{}", rsv=rsv), 1002) for rsv in (1, 2, 4)],
        *[(masked(opcode), 1002) for opcode in (0x3, 0x7, 0xB, 0xF)],
        (masked(PING, b"x" * 126), 1002),
        (masked(PING, fin=False), 1002),
        (masked(CONTINUATION, b"of nothing"), 1002),
        (masked(TEXT, b"{", fin=False) + masked(TEXT, b"}"), 1002),
        (masked(CLOSE, b"\x03"), 1002),
        (masked(CLOSE, (999).to_bytes(2)), 1002),
        (masked(CLOSE, (1000).to_bytes(2) + b"\xff"), 1007),
        (masked(TEXT, b"\xff\xfe"), 1007),
        (masked(TEXT, b"\xed\xa0\x80"), 1007),
        (masked(TEXT, b"\xc3", fin=False) + masked(CONTINUATION, b"("), 1007),
        (masked(TEXT, size=16 * MB), 1009),
        (masked(BINARY, size=2**63 - 1), 1009),
        (masked(BINARY, size=2**64 - 1), 1009),
        (b"".join(masked(CONTINUATION if part else TEXT, b"x" * 4000, fin=False) for part in range(5)), 1009),
        (masked(TEXT, fin=False) + 64 * masked(CONTINUATION, fin=False), 1008),
        (100 * masked(PING, b"x"), 1008),
        (100 * masked(PONG, b"x"), 1008),
        (masked(TEXT, b"x" * 5000), 4506),
        (masked(TEXT, b"{}"), 4505),
    ],
    ids=lambda value: value if isinstance(value, int) else value[:12].hex(),
)
async def test_a_frame_that_breaks_the_rules_closes_with_its_code(target: Target, frames: bytes, code: int) -> None:
    async with upgraded(target.url) as client:
        client.write(frames)
        assert await client.close_code() == code
        client.write(masked(CLOSE, code.to_bytes(2)))
        assert await client.ended() == b""


async def test_a_close_that_comes_with_what_the_client_is_closed_for_is_answered(target: Target) -> None:
    for first in (masked(TEXT, b"{}"), masked(TEXT, b"\xff")):
        async with upgraded(target.url) as client:
            client.write(first + masked(CLOSE, (1000).to_bytes(2)))
            assert await client.close_code() == 1000
            assert await client.ended() == b""


async def test_a_message_in_pieces_with_pings_between_them_is_a_message(target: Target, points: Points) -> None:
    session = await points.open()
    message = join_of(session)
    async with upgraded(target.url, session.id) as client:
        client.write(masked(TEXT, b'{"type": "join", ', fin=False) + masked(PING, b"1"))
        client.write(masked(CONTINUATION, b'"seq":', fin=False) + masked(CONTINUATION, b"-1}"))
        assert await client.frame() == (PONG, b"1")
        assert b"bad_frame" in (await client.frame())[1]
    async with upgraded(target.url, session.id) as client:
        for byte in message:
            client.write(bytes([byte]))
            await asyncio.sleep(0)
        assert b'"welcome"' in (await client.frame())[1]


async def test_nothing_is_written_behind_a_close(target: Target, points: Points) -> None:
    session = await points.open()
    async with joined(target.url, session) as client, join(target.url, session) as witness:
        client.write(masked(CLOSE, (1000).to_bytes(2)))
        for _ in range(20):
            await points.happen(session)
        await witness.reach(session.seq)
        assert await client.close_code() == 1000
        assert await client.ended() == b""


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


async def test_who_says_nothing_after_the_handshake_is_closed(target: Target) -> None:
    async with upgraded(target.url) as client, upgraded(target.url) as half:
        half.write(masked(TEXT, b'{"type": "join"}')[:10])
        half.write(b"")
        assert [await client.close_code(), await half.close_code()] == [4500, 4500]


async def test_frames_before_and_during_the_join_have_to_wait_and_are_few(target: Target, points: Points) -> None:
    session = await points.open()
    ping = masked(TEXT, b'{"type": "ping", "id": 7}')
    async with upgraded(target.url, session.id) as client:
        client.write(join_of(session) + EARLY_FRAMES * ping)
        kinds = [(await client.frame())[1][:17] for _ in range(2 + EARLY_FRAMES)]
        assert kinds == [b'{"type":"welcome"', b'{"type":"snapshot'] + EARLY_FRAMES * [b'{"type":"pong","i']
    async with upgraded(target.url, session.id) as client:
        client.write(join_of(session) + 2 * EARLY_FRAMES * ping)
        assert await client.close_code() == 4505
    async with raw(target.url) as client:
        client.write(handshake(session.id) + join_of(session))  # what comes before the answer may be lost, not more
        assert (await client.head())[0] == 101
        assert await client.close_code() in {None, 1002, 4500}


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
