"""Clients whose frames break the rules, or come when they should not: each is closed with its code.

This is also what guards an upgrade of uvicorn, into whose protocols the gateway's reach.
"""

import asyncio

import pytest

from services.realtime.visit import EARLY_FRAMES
from tests.integration.realtime.clients import join
from tests.integration.realtime.points import Points
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
from tests.integration.realtime.target import MB, Target


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
