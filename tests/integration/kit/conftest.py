"""A Valkey Cluster for the tests of a file."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.kit.redis_client import ValkeyClient, connect
from tests.valkey_cluster import ValkeyCluster


@pytest.fixture(scope="module")
def whole_cluster(server_folder: Path, request: pytest.FixtureRequest) -> Iterator[ValkeyCluster]:
    with ValkeyCluster(server_folder / request.module.__name__) as cluster:
        yield cluster


@pytest.fixture
def cluster(whole_cluster: ValkeyCluster) -> ValkeyCluster:
    """The module's cluster, complete and empty."""
    whole_cluster.mend()
    whole_cluster.flush()
    return whole_cluster


@pytest.fixture
async def redis(cluster: ValkeyCluster) -> AsyncIterator[ValkeyClient]:
    client = connect(cluster.url)
    yield client
    await client.aclose()
