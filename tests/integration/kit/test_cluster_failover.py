"""Whole games on a real Valkey Cluster, and what a failover in the middle of them costs."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from baton.servers import Valkey
from contracts.channels import PUZZLE_EVENTS
from contracts.ids import PlayerId, RoomSeq, SessionId
from services.kit import outbox
from services.kit.redis_client import ValkeyClient
from services.kit.supervise import Supervisor
from services.points.main import application as points_application
from services.points.service import settling
from services.points.service import upkeep as points_upkeep
from services.points.settings import PointsSettings
from services.puzzle.main import create_app as puzzle_application
from services.puzzle.service import upkeep as puzzle_upkeep
from services.puzzle.settings import PuzzleSettings
from services.realtime.recovery import RoomReader
from tests import points_game, puzzle_game
from tests.points_game import bearer, until
from tests.valkey_cluster import ValkeyCluster
from worker.runtime import Resources
from worker.settings import WorkerSettings

pytestmark = pytest.mark.anyio


class Baton:
    """Both services and a worker before the cluster, in this process, with games that are played over HTTP."""

    def __init__(self, url: str, points: httpx.AsyncClient, puzzle: httpx.AsyncClient, worker: Resources) -> None:
        self.rows = points_game.Rows(url)
        self._points = points
        self._puzzle = puzzle
        self._worker = worker
        self.enough = asyncio.Event()
        self.sessions: list[SessionId] = []
        self.solved: list[str] = []
        """The awards that are due: the ledger's key of each."""

    async def work(self) -> None:
        """The worker's rounds, for ever."""
        while True:
            try:
                await settling.begin_due(self._worker.points)
                await puzzle_upkeep.sweep(self._worker.puzzle)
                await points_upkeep.sweep(self._worker.points)
                await self._worker.announcer.sweep()
            finally:
                await self._worker.flush()
            await asyncio.sleep(0.1)

    async def play(self) -> None:
        """A game in which both players solve one puzzle after the other, until it is enough."""
        team = await points_game.Team.make(self._points, 2)
        session_id = await team.open(countdown_ms=0, interval_ms=3_600_000, puzzle_types=puzzle_game.UNTIMED_TYPES)
        await team.start(session_id)
        self.sessions.append(session_id)
        while not self.enough.is_set():
            for player_id, token in zip(team.players, team.tokens, strict=True):
                puzzle = await until(partial(self._open_puzzle, player_id))
                await self._solve(session_id, puzzle, token)

    async def _open_puzzle(self, player_id: PlayerId) -> dict[str, Any] | None:
        query = text("SELECT * FROM puzzle.puzzles WHERE player_id = :player AND status = 'open'")
        async with self._worker.puzzle.transaction() as transaction:
            row = (await transaction.connection.execute(query, {"player": player_id})).mappings().one_or_none()
            return None if row is None else dict(row)

    async def _solve(self, session_id: SessionId, puzzle: dict[str, Any], token: str) -> None:
        body = {"answer": puzzle_game.right_answer(puzzle)}
        response = await self._puzzle.post(f"/puzzles/{puzzle['puzzle_id']}/answer", json=body, headers=bearer(token))
        assert response.json()["verdict"] == "solved", response.text
        self.solved.append(f"solve:{session_id}:{puzzle['puzzle_id']}")

    async def is_settled(self) -> bool:
        """Whether everything that one service had to tell the other has taken effect there, and was confirmed."""
        return not self.rows.all("SELECT 1 FROM puzzle.outbox UNION ALL SELECT 1 FROM points.outbox")

    async def has_solved(self, count: int) -> bool:
        return len(self.solved) >= count


@pytest.fixture
async def baton(
    cluster: ValkeyCluster, clean: None, database_url: str, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Baton]:
    monkeypatch.setattr(outbox, "FIRST_RETRY_MS", 500)
    common: dict[str, Any] = {"database_url": database_url, "redis_url": cluster.url, "pool_size": 8}
    broker = valkey.url_of(1)
    worker = Resources(WorkerSettings(**common, broker_url=broker))
    points = points_application(PointsSettings(**common, broker_url=broker))
    puzzle = puzzle_application(PuzzleSettings(**common))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(worker.close)
        points_client = await stack.enter_async_context(points_game.running(points))
        puzzle_client = await stack.enter_async_context(puzzle_game.running(puzzle))
        baton = Baton(database_url, points_client, puzzle_client, worker)
        supervisor = await stack.enter_async_context(Supervisor())
        supervisor.start("worker", baton.work)
        yield baton


def every_master_is_relieved(cluster: ValkeyCluster) -> None:
    for master in [node for node in cluster.nodes if node.is_master]:
        cluster.fail_over(master)


def a_master_is_killed(cluster: ValkeyCluster) -> None:
    cluster.lose_master_of(PUZZLE_EVENTS)


@pytest.mark.parametrize("trouble", [every_master_is_relieved, a_master_is_killed])
async def test_a_failover_loses_nothing_and_pays_nothing_twice(
    cluster: ValkeyCluster, redis: ValkeyClient, baton: Baton, trouble: Callable[[ValkeyCluster], None]
) -> None:
    async with asyncio.TaskGroup() as games:
        for _ in range(6):
            games.create_task(baton.play())
        await until(lambda: baton.has_solved(50))
        await asyncio.to_thread(trouble, cluster)
        during = len(baton.solved)
        await until(lambda: baton.has_solved(during + 50))
        baton.enough.set()
    await until(baton.is_settled)
    paid = Counter(row["key"] for row in baton.rows.all("SELECT key FROM points.ledger WHERE key LIKE 'solve:%%'"))
    assert paid == Counter(baton.solved)
    reader = RoomReader(redis)
    for session_id in baton.sessions:
        frames = baton.rows.frames(session_id)
        position = (await reader.read(session_id)).position
        reading = await reader.read(session_id, after=RoomSeq(0), floors=[position._replace(seq=RoomSeq(len(frames)))])
        assert reading.log is not None
        assert [body for _, body in reading.log] == frames[-len(reading.log) :]
        assert reading.position.seq == len(frames)
