"""Connections that write commands by hiredis' packer in C: redis-py reads by hiredis, but packs in Python."""

from typing import Any

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import Connection, SSLConnection


class _Packing:
    def pack_command(self, *args: Any) -> list[bytes]:
        # What redis-py gives as one word may be several: "CONFIG GET".
        name, *values = args
        words = name.encode().split() if isinstance(name, str) else [name]
        return [hiredis.pack_command((*words, *values))]


class PackingConnection(_Packing, Connection):
    """Packs by hiredis."""


class PackingTlsConnection(_Packing, SSLConnection):
    """Packs by hiredis, too."""


def pack_by_hiredis(client: Redis) -> Redis:
    """Have all connections that the client is still to make pack by hiredis."""
    pool = client.connection_pool
    pool.connection_class = PackingTlsConnection if pool.connection_class is SSLConnection else PackingConnection
    return client
