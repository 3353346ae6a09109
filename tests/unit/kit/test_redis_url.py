"""REDIS_URL: one server, or some servers of a cluster."""

import pytest

from services.kit.redis_url import addresses, broker_beside, is_cluster


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("redis://one:6379/0", ["redis://one:6379/0"]),
        ("unix:///run/valkey.sock", ["unix:///run/valkey.sock"]),
        ("redis+cluster://one:1,two:2", ["redis://one:1", "redis://two:2"]),
        ("redis+cluster://one, two/0", ["redis://one", "redis://two"]),
        ("redis+cluster://[::1]:1,one:2/", ["redis://[::1]:1", "redis://one:2"]),
        (
            "rediss+cluster://baton:p%40ss@one:1,two:2?ssl_ca_certs=/ca.pem",
            [
                "rediss://baton:p%40ss@one:1?ssl_ca_certs=/ca.pem",
                "rediss://baton:p%40ss@two:2?ssl_ca_certs=/ca.pem",
            ],
        ),
    ],
)
def test_the_servers_that_are_named(url: str, found: list[str]) -> None:
    assert addresses(url) == found
    assert is_cluster(url) == ("cluster" in url)


def test_the_broker_is_a_database_beside_the_rest_and_never_a_cluster() -> None:
    assert broker_beside("redis://one:6379/0") == "redis://one:6379/1"
    with pytest.raises(ValueError, match="one server"):
        broker_beside("redis+cluster://one:6379")
