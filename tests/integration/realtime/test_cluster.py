"""Two gateways on a real Valkey Cluster: what a failover in the middle of games costs their clients, nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from services.kit.redis_client import ValkeyClient, connect
from services.realtime.settings import RealtimeSettings
from tests.integration.realtime.clients import Client, join
from tests.integration.realtime.conftest import serving
from tests.integration.realtime.points import Points, Session
from tests.valkey_cluster import ValkeyCluster

SESSIONS = 9
"""So many that each of the three masters has the rooms of some."""


@pytest.fixture(scope="module")
def cluster(server_folder: Path) -> Iterator[ValkeyCluster]:
    with ValkeyCluster(server_folder / "cluster-of-gateways") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def gateways(cluster: ValkeyCluster) -> Iterator[list[str]]:
    settings = RealtimeSettings(redis_url=cluster.url)
    with serving(settings) as one, serving(settings) as other:
        yield [one, other]


@pytest.fixture
async def redis(cluster: ValkeyCluster) -> AsyncIterator[ValkeyClient]:
    client = connect(cluster.url)
    yield client
    await client.aclose()


async def _tell(points: Points, session: Session) -> None:
    """As points does it: again and again until the room has it, all of it where the room is behind."""
    while True:
        try:
            await points.happen_after_loss(session)
        except (RedisError, OSError):
            await asyncio.sleep(0.05)
        else:
            return


async def _play(points: Points, session: Session, enough: asyncio.Event) -> None:
    while not enough.is_set():
        await _tell(points, session)
        await asyncio.sleep(0.02)


def _relieve_every_master(cluster: ValkeyCluster) -> None:
    for master in [node for node in cluster.nodes if node.is_master]:
        cluster.fail_over(master)


def _kill_a_master(cluster: ValkeyCluster) -> None:
    cluster.lose_master_of("a key")


@pytest.mark.parametrize("trouble", [_relieve_every_master, _kill_a_master])
async def test_a_failover_in_the_middle_of_games_breaks_no_sequence(
    cluster: ValkeyCluster,
    gateways: list[str],
    redis: ValkeyClient,
    points: Points,
    trouble: Callable[[ValkeyCluster], None],
) -> None:
    cluster.mend()
    sessions = [await points.open() for _ in range(SESSIONS)]
    async with AsyncExitStack() as stack:
        clients = [
            (session, await stack.enter_async_context(join(url, session))) for session in sessions for url in gateways
        ]
        enough = asyncio.Event()
        async with asyncio.TaskGroup() as games:
            for session in sessions:
                games.create_task(_play(points, session, enough))
            await asyncio.gather(*(client.reach(5) for _, client in clients))
            await asyncio.to_thread(trouble, cluster)
            after = max(session.seq for session in sessions) + 20
            # None of them was closed, which `reach` would tell, and each had every event in its order.
            await asyncio.gather(*(client.reach(after) for _, client in clients))
            enough.set()
        await asyncio.gather(*(_is_as_told(session, client) for session, client in clients))


async def _is_as_told(session: Session, client: Client) -> None:
    await client.reach(session.seq)
    assert client.state == session.state
