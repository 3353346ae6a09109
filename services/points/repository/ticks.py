"""What Valkey is asked about ticks: which rooms are watched, whose turn it is to tell them, and the telling."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from redis.asyncio import RedisCluster
from redis.exceptions import NoScriptError

from contracts.channels import ticking_claim, watched_rooms
from services.kit.redis_client import ValkeyClient, publish_command

SCRIPT = Path(__file__).with_name("ticks.lua").read_text()
SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()

ROOMS_A_CALL = 150
"""Valkey does nothing else during a call: under a millisecond."""
CALLS_A_TRIP = 20


class Ticks:
    """Watched rooms, as the one sees them who tells them ticks."""

    def __init__(self, redis: ValkeyClient) -> None:
        self._redis = redis
        self._publish = publish_command(redis)

    async def claim(self, shard: int, for_ms: int) -> bool:
        """Whether the shard is ours to tell: nobody else's claim was made in the last `for_ms`."""
        return bool(await self._redis.set(ticking_claim(shard), b"", nx=True, px=for_ms))

    async def watched(self, shard: int, now: int) -> list[bytes]:
        """The keys of the shard's rooms that somebody is in, at whatever gateway."""
        found: Any = await self._redis.zrangebyscore(watched_rooms(shard), now, "+inf")
        return [b"baton:room:{%s}" % session_id for session_id in found]

    async def tell(self, keys: Sequence[bytes], now: int) -> int:
        """Tell rooms everybody's points at `now`. Returns how many of them were: those that are here and played in.

        Raises RedisError when Valkey does not take it.
        """
        told = 0
        calls = list(self._calls(keys))
        for start in range(0, len(calls), CALLS_A_TRIP):
            trip = calls[start : start + CALLS_A_TRIP]
            results = await self._call("EVALSHA", SHA, trip, now)
            if any(isinstance(result, NoScriptError) for result in results):
                # What was told twice has cost a frame that may be dropped as well.
                results = await self._call("EVAL", SCRIPT, trip, now)
            for result in results:
                if isinstance(result, Exception):
                    raise result
                told += int(result)
        return told

    def _calls(self, keys: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
        """Keys that one call may have: on a cluster those of one slot."""
        if isinstance(self._redis, RedisCluster):
            slots: dict[int, list[bytes]] = {}
            for key in keys:
                slots.setdefault(self._redis.keyslot(key), []).append(key)
            for together in slots.values():
                yield from _chunks(together)
        else:
            yield from _chunks(keys)

    async def _call(
        self, command: str, script: str, calls: Sequence[Sequence[bytes]], now: int
    ) -> list[int | Exception]:
        pipeline = self._redis.pipeline(transaction=False)
        for keys in calls:
            pipeline.execute_command(command, script, len(keys), *keys, now, self._publish)
        results: list[int | Exception] = await pipeline.execute(raise_on_error=False)
        return results


def _chunks(keys: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    return (keys[start : start + ROOMS_A_CALL] for start in range(0, len(keys), ROOMS_A_CALL))
