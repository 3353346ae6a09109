"""Members of consumer groups whose processes are gone for good: a pod's name, say, never comes back."""

from collections.abc import Iterable
from typing import Any

from redis.exceptions import ResponseError

from services.kit.redis_client import ValkeyClient

GONE_AFTER_MS = 3_600_000
"""Several hundred times as long as a living consumer goes without asking for something."""


async def forget_gone(
    redis: ValkeyClient, members: Iterable[tuple[str, str]], gone_after_ms: int = GONE_AFTER_MS
) -> int:
    """Remove from groups, given as (stream, group), the members that have asked for nothing for so long.

    One that still holds entries is left until others have taken them over. One that comes back after all is a member
    again when it asks. Returns how many were removed. Raises RedisError.
    """
    removed = 0
    for stream, group in members:
        for consumer in await _consumers(redis, stream, group):
            if consumer["idle"] > gone_after_ms and consumer["pending"] == 0:
                await redis.xgroup_delconsumer(stream, group, consumer["name"])
                removed += 1
    return removed


async def _consumers(redis: ValkeyClient, stream: str, group: str) -> list[Any]:
    try:
        return list(await redis.xinfo_consumers(stream, group))
    except ResponseError as error:
        if "no such key" in str(error) or str(error).startswith("NOGROUP"):
            return []  # nobody has listened yet
        raise
