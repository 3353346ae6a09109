"""How Baton's processes connect to Valkey."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit

from redis import __version__
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode, ClusterPipeline
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.cluster import get_node_name
from redis.driver_info import DriverInfo
from redis.exceptions import ConnectionError as ValkeyAwayError
from redis.exceptions import RedisClusterException

from services.kit.packing import pack_by_hiredis
from services.kit.redis_url import addresses, is_cluster

DRIVER = DriverInfo(lib_version=__version__)
"""Without it redis-py reads its package's metadata again for each connection."""
BLOCK_MS = 1_000
"""How long a blocking read waits. Time-outs of sockets are longer."""


_in_command = ContextVar("_in_command", default=False)


@contextmanager
def _command() -> Iterator[None]:
    """While redis-py executes something. Its errors of clusters become RedisErrors, which not all of them are."""
    token = _in_command.set(True)
    try:
        yield
    except RedisClusterException as error:
        raise ValkeyAwayError(str(error)) from error
    finally:
        _in_command.reset(token)


class ClusterClient(RedisCluster):
    """redis-py's client, mended where the loss of a server would be more than an error of the moment."""

    async def initialize(
        self,
        additional_startup_nodes_info: list[tuple[str, int]] | None = None,
        last_failed_node_name: str | None = None,
    ) -> RedisCluster:
        """Look up who has what, unless that is known. Raises RedisError, and leaves all connections as they are."""
        if self._initialize:
            with _command():
                await self.nodes_manager.initialize(additional_startup_nodes_info, last_failed_node_name)
                if not self.commands_parser.commands:
                    await self.commands_parser.initialize(self.nodes_manager.default_node)
            self._initialize = False
        return self

    async def refresh(self) -> None:
        """Look up again who has what. Raises RedisError.

        redis-py makes all connections anew when it looks; so it is told to only where something has changed.
        """
        await self.initialize()
        spans: Any = await self.cluster_slots()
        for (first, last), found in spans.items():
            name = get_node_name(*found["primary"])
            if any(self.nodes_manager.get_node_from_slot(slot).name != name for slot in (first, last)):
                self._initialize = True
                await self.initialize()
                return

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        with _command():
            return await super().execute_command(*args, **options)

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> ClusterPipeline:
        return _Pipeline(self, transaction)  # type: ignore[abstract]  # so is redis-py's own, as mypy sees it

    async def aclose(self) -> None:
        """Close all connections.

        redis-py calls this in mid-command too, to look up again who has what. Then they stay: others are using them,
        whose commands would fail, and close all connections in their turn.
        """
        self._initialize = True
        if not _in_command.get():
            await self.nodes_manager.aclose()
            await self.nodes_manager.aclose("startup_nodes")

    async def _determine_slot(self, command: str, *args: Any) -> int:
        """redis-py would ask a server where an XREADGROUP has its key, and for ever the same server."""
        if command == "XREADGROUP":
            return self.keyslot(args[args.index(b"STREAMS") + 1])
        return await super()._determine_slot(command, *args)


class _Pipeline(ClusterPipeline):
    async def execute(self, raise_on_error: bool = True, allow_redirections: bool = True) -> list[Any]:
        with _command():
            return await super().execute(raise_on_error, allow_redirections)


ValkeyClient: TypeAlias = Redis | ClusterClient
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
        return pack_by_hiredis(Redis.from_url(url, **options))
    first, *more = addresses(url)
    client = ClusterClient.from_url(
        first,
        startup_nodes=[ClusterNode(str(named.hostname), named.port or 6379) for named in map(urlsplit, more)],
        # The servers that were named are asked again each time: a name may stand for others by then.
        dynamic_startup_nodes=False,
        # After so many redirections redis-py would close all connections, those in use too. One redirection corrects
        # what is known of a slot, and for a failover that of the server's other slots.
        reinitialize_steps=0,
        **options,
    )
    return cast("ClusterClient", client)


def publish_command(redis: ValkeyClient) -> str:
    """How to publish: in a cluster a message stays with the server that has the channel, and does not go to all."""
    return "SPUBLISH" if isinstance(redis, ClusterClient) else "PUBLISH"
