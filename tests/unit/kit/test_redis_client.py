"""How a client is made; that it works, the integration tests show."""

import pytest
from redis.asyncio import Connection, Redis, SSLConnection

from services.kit.packing import PackingConnection, PackingTlsConnection
from services.kit.redis_client import ClusterClient, connect, publish_command


def test_one_server_and_a_cluster_get_the_same_time_outs() -> None:
    one, several = connect("redis://one:6379/0"), connect("redis+cluster://one,two:6380")
    assert isinstance(one, Redis)
    assert isinstance(several, ClusterClient)
    for options in (
        one.connection_pool.connection_kwargs,
        *(node.connection_kwargs for node in several.startup_nodes),
    ):
        assert (options["socket_connect_timeout"], options["socket_timeout"], options["protocol"]) == (2, 5, 2)
    assert {(node.host, node.port) for node in several.startup_nodes} == {("one", 6379), ("two", 6380)}
    assert (publish_command(one), publish_command(several)) == ("PUBLISH", "SPUBLISH")


def test_every_server_of_a_cluster_is_reached_with_the_same_credentials_and_by_tls() -> None:
    client = connect("rediss+cluster://baton:p%40ss@one,two:6380?ssl_cert_reqs=none")
    assert isinstance(client, ClusterClient)
    for node in client.startup_nodes:
        assert node.connection_class is SSLConnection
        assert (node.connection_kwargs["username"], node.connection_kwargs["password"]) == ("baton", "p@ss")
        assert node.connection_kwargs["ssl_cert_reqs"] == "none"


@pytest.mark.parametrize(
    ("url", "kind", "plain"),
    [
        ("redis://one:6379/0", PackingConnection, Connection),
        ("rediss://one:6379/0", PackingTlsConnection, SSLConnection),
    ],
)
def test_commands_are_packed_as_redis_py_packs_them(url: str, kind: type[Connection], plain: type[Connection]) -> None:
    client = connect(url)
    assert isinstance(client, Redis)
    assert client.connection_pool.connection_class is kind
    for command in (
        ("PING",),
        ("CONFIG GET", "maxmemory"),
        (b"EVALSHA", "ä" * 40, 3, b"key", "\u2028", -1, 1.5, b"\0\r\n", b""),
        ("XADD", "stream", "*", "e", b"x" * 100_000),
    ):
        assert b"".join(kind().pack_command(*command)) == b"".join(plain().pack_command(*command))
