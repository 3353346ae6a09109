"""How Baton's processes connect to Valkey."""

from typing import Any, TypeAlias
from urllib.parse import urlsplit

from redis import __version__
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.driver_info import DriverInfo
from redis.exceptions import ConnectionError as ValkeyAwayError
from redis.exceptions import RedisClusterException

from services.kit.redis_url import addresses, is_cluster

DRIVER = DriverInfo(lib_version=__version__)
"""Without it redis-py reads its package's metadata again for each connection."""
BLOCK_MS = 1_000
"""How long a blocking read waits. Time-outs of sockets are longer."""

ValkeyClient: TypeAlias = Redis | RedisCluster
"""A client of one server or of a cluster. What is to work on both: each command is about keys of one slot, pipelines
are not transactions (what must be one step is a script), and nothing is asked of "the" server but PING.
"""


def connect(url: str, *, max_connections: int = 64) -> ValkeyClient:
    """A client with time-outs, so that a silent server is an error and never a wait without end.

    A command whose answer was lost is sent once more; so each of ours must bear being executed twice. Connections are
    counted per server. Every failure to reach Valkey is a RedisError or an OSError.
    """
    options: dict[str, Any] = {
        "socket_connect_timeout": 2,
        "socket_timeout": 5,
        "health_check_interval": 15,
        "max_connections": max_connections,
        "retry": Retry(ConstantBackoff(0.05), 1),
        "protocol": 2,  # the shapes of replies are those of RESP2
        "decode_responses": False,
        "driver_info": DRIVER,
    }
    if not is_cluster(url):
        return Redis.from_url(url, **options)
    first, *more = addresses(url)
    return _Cluster.from_url(
        first,
        startup_nodes=[ClusterNode(str(named.hostname), named.port or 6379) for named in map(urlsplit, more)],
        # The servers that were named are asked again each time: a name may stand for others by then.
        dynamic_startup_nodes=False,
        # After so many redirections redis-py would close all connections, those in use too. One redirection corrects
        # what is known of a slot, and for a failover that of the server's other slots.
        reinitialize_steps=0,
        **options,
    )


def publish_command(redis: ValkeyClient) -> str:
    """How to publish: in a cluster a message stays with the server that has the channel, and does not go to all."""
    return "SPUBLISH" if isinstance(redis, RedisCluster) else "PUBLISH"


class _Cluster(RedisCluster):
    """redis-py's client, mended where the loss of a server would be more than an error of the moment."""

    async def initialize(self, *args: Any, **kwargs: Any) -> RedisCluster:
        """Look up who has what. Raises RedisError: what redis-py raises itself is none."""
        try:
            return await super().initialize(*args, **kwargs)
        except RedisClusterException as error:
            raise ValkeyAwayError(str(error)) from error

    async def _determine_slot(self, command: str, *args: Any) -> int:
        """redis-py would ask a server where an XREADGROUP has its key, and for ever the same server."""
        if command == "XREADGROUP":
            return self.keyslot(args[args.index(b"STREAMS") + 1])
        return await super()._determine_slot(command, *args)
