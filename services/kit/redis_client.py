"""How Baton's processes connect to Valkey."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff

BLOCK_MS = 1_000
"""How long a blocking read waits. Time-outs of sockets are longer."""


def connect(url: str, *, max_connections: int = 64) -> "Redis":
    """A client with time-outs, so that a silent server is an error and never a wait without end.

    A command whose answer was lost is sent once more; so each of ours must bear being executed twice.
    """
    return Redis.from_url(
        url,
        socket_connect_timeout=2,
        socket_timeout=5,
        health_check_interval=15,
        max_connections=max_connections,
        retry=Retry(ConstantBackoff(0.05), 1),
        protocol=2,  # the shapes of replies are those of RESP2
        decode_responses=False,
    )
