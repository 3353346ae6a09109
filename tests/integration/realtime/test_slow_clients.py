"""A client that does not read delays nobody, holds a bounded amount, and is told to come back."""

import socket
from collections.abc import Callable
from contextlib import AsyncExitStack

import httpx

from contracts.frames import Tick, encode
from tests.integration.realtime.clients import join, until
from tests.integration.realtime.metrics import metric
from tests.integration.realtime.points import EPOCH, Points

BIG = 400_000
"""What the kernel buffers for a client is a few megabytes: some ten of these."""


def _narrow_socket(url: str) -> socket.socket:
    """A connection of which the kernel buffers little."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect(("127.0.0.1", int(url.rpartition(":")[2])))
    narrow.setblocking(False)
    return narrow


async def test_who_does_not_read_is_closed_and_the_others_are_told_everything(
    new_gateway: Callable[..., str], points: Points, http: httpx.AsyncClient
) -> None:
    url = new_gateway(send_queue_bytes=4 * BIG)
    session = await points.open()
    before = await metric(http, url, "baton_closes_total", reason="slow_consumer")
    async with AsyncExitStack() as stack:
        good = [await stack.enter_async_context(join(url, session)) for _ in range(3)]
        slow = await stack.enter_async_context(join(url, session, sock=_narrow_socket(url), max_queue=1))
        while await metric(http, url, "baton_closes_total", reason="slow_consumer") == before:
            assert session.seq < 500, "nothing was ever too much"
            await points.happen(session, size=BIG)
            for client in good:
                await client.reach(session.seq)
        for client in good:
            assert client.state == session.state
        assert await slow.closed() == (4000, "slow_consumer")
        assert slow.seq < session.seq
    async with join(url, session, seq=slow.seq, epoch=EPOCH) as back:
        await points.happen(session)
        await back.reach(session.seq)


async def test_ephemeral_messages_are_dropped_first(
    new_gateway: Callable[..., str], points: Points, http: httpx.AsyncClient
) -> None:
    url = new_gateway(send_queue_bytes=4 * BIG)
    session = await points.open()
    tick = encode(Tick(seq=session.seq, at=1, next_at=2, points={session.player_id: 3})) + b" " * BIG

    before = await metric(http, url, "baton_dropped_ephemeral_total")
    async with join(url, session, sock=_narrow_socket(url), max_queue=1) as slow:

        async def dropped() -> bool:
            await points.rooms.say([(session.id, tick)])
            return await metric(http, url, "baton_dropped_ephemeral_total") > before

        await until(dropped)
        for _ in range(3):
            await points.happen(session)
        await slow.reach(session.seq)
        assert slow.others
