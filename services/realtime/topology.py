"""Which Valkey servers have a gateway's channels: one has them all, or a cluster shares them out by slots."""

from collections.abc import Mapping
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import SlotNotCoveredError

from services.kit.redis_client import ClusterClient, ValkeyClient
from services.realtime.pubsub import NewConnection

REFRESH_EVERY_S = 1.0


class Topology(Protocol):
    """Which servers there are, and who of them has a channel."""

    sharded: bool
    refresh_every_s: float | None

    async def refresh(self) -> None:
        """Look up again who has what. Raises RedisError or OSError when nobody answers."""

    def servers(self) -> Mapping[str, NewConnection]:
        """The servers that have channels, by name, and how to connect to each."""

    def owner(self, channel: bytes) -> str:
        """The name of the server that has the channel; empty while none has."""

    async def publish(self, channel: bytes) -> object:
        """Publish an empty message. Raises RedisError or OSError when the server does not take it."""


class OneServer:
    """A single server, with plain pub/sub."""

    sharded = False
    refresh_every_s: float | None = None

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def refresh(self) -> None:
        """There is nothing to look up."""

    def servers(self) -> Mapping[str, NewConnection]:
        pool: Any = self._redis.connection_pool
        return {"valkey": lambda: pool.connection_class(**pool.connection_kwargs | _ONCE)}

    def owner(self, channel: bytes) -> str:
        return "valkey"

    async def publish(self, channel: bytes) -> object:
        return await self._redis.publish(channel, b"")


class Cluster:
    """A cluster, with sharded pub/sub: a channel is heard from the primary that has its slot, and nowhere else."""

    sharded = True
    refresh_every_s: float | None = REFRESH_EVERY_S

    def __init__(self, redis: ClusterClient) -> None:
        self._redis = redis

    async def refresh(self) -> None:
        """Asked of a server each time: redis-py itself looks again only when a command of its own was redirected."""
        await self._redis.refresh()

    def servers(self) -> Mapping[str, NewConnection]:
        primaries = {nodes[0].name: nodes[0] for nodes in self._redis.nodes_manager.slots_cache.values()}
        return {
            name: lambda node=node: node.connection_class(**node.connection_kwargs | _ONCE)  # type: ignore[misc]
            for name, node in primaries.items()
        }

    def owner(self, channel: bytes) -> str:
        try:
            node = self._redis.get_node_from_key(channel.decode())
        except SlotNotCoveredError:
            return ""
        return "" if node is None else node.name

    async def publish(self, channel: bytes) -> object:
        return await self._redis.spublish(channel, b"")


_ONCE = {"retry": Retry(NoBackoff(), 0)}
"""A pub/sub connection never reconnects by itself: what was said meanwhile would be lost without anybody knowing."""


def topology_of(redis: ValkeyClient) -> Topology:
    """What there is behind that client."""
    return Cluster(redis) if isinstance(redis, ClusterClient) else OneServer(redis)
