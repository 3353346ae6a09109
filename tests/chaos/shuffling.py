"""Every message of a stream is delivered one to five times, and out of order.

The proxy has `kit/stream_adding.py` add to `stream:held` instead of the stream, whose reply is as good. From there a
`Shuffler` takes what came within a moment, and adds it to the stream itself, each entry one to five times, shuffled.
"""

import asyncio
import random
from collections import Counter
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from contracts.channels import POINTS_CONFIRMATIONS, POINTS_EVENTS, PUZZLE_CONFIRMATIONS, PUZZLE_EVENTS

STREAMS = (PUZZLE_EVENTS, POINTS_EVENTS, PUZZLE_CONFIRMATIONS, POINTS_CONFIRMATIONS)
"""Not the requests for rooms: who sends one looks for it by its id."""
MOST_AT_ONCE = 500
LONGEST_MOMENT_S = 0.4
TIMES = (1, 1, 2, 3, 5)
REMEMBERED = 200_000


def _held(stream: str) -> str:
    return f"{stream}:held"


def _key(stream: str) -> bytes:
    """As the one key of a script."""
    return b"$1\r\n1\r\n$%d\r\n%s\r\n" % (len(stream), stream.encode())


REWRITES = [(_key(stream), _key(_held(stream))) for stream in STREAMS]


def hold_back(sent: bytes) -> bytes:
    """What a client sends, with the streams' names changed. A command that comes in two pieces may go its usual way."""
    if b"XADD" in sent:
        for usual, held in REWRITES:
            sent = sent.replace(usual, held)
    return sent


class Shuffler:
    """Delivers what is held back. With `calm`, at once, once and in order."""

    def __init__(self, url: str, chance: random.Random) -> None:
        self._redis = Redis.from_url(url, socket_timeout=5, protocol=2)
        self._chance = chance
        self._known: dict[int, None] = {}
        self.calm = False
        self.counts: Counter[str] = Counter()

    async def run(self, stream: str) -> None:
        """For ever, and whatever becomes of Valkey."""
        while True:
            try:
                await self._deliver(stream)
            except (RedisError, OSError):
                await asyncio.sleep(0.1)

    async def close(self) -> None:
        await self._redis.aclose()

    async def _deliver(self, stream: str) -> None:
        held = _held(stream)
        if not await self._redis.xread({held: "0"}, count=1, block=1000):
            return
        if not self.calm:
            await asyncio.sleep(self._chance.uniform(0.0, LONGEST_MOMENT_S))
        entries: Any = await self._redis.xrange(held, count=MOST_AT_ONCE)
        deliveries = [fields for _, fields in entries for _ in range(1 if self.calm else self._chance.choice(TIMES))]
        if not self.calm:
            self._chance.shuffle(deliveries)
        pipeline = self._redis.pipeline(transaction=False)
        for fields in deliveries:
            pipeline.xadd(stream, fields, maxlen=100_000, approximate=True)
        pipeline.xdel(held, *(entry_id for entry_id, _ in entries))
        await pipeline.execute()
        self._count(stream, [fields for _, fields in entries], len(deliveries))

    def _count(self, stream: str, entries: list[dict[bytes, bytes]], deliveries: int) -> None:
        self.counts["entries held back"] += len(entries)
        self.counts["deliveries beyond the first"] += deliveries - len(entries)
        if stream not in (PUZZLE_EVENTS, POINTS_EVENTS):
            return
        for fields in entries:
            event = hash(frozenset(fields.items()))
            self.counts["events sent again"] += event in self._known
            self._known[event] = None
        while len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]
