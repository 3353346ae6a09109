"""Background tasks: kept running, counted, and seen when they are down."""

import asyncio
import itertools

import pytest
from prometheus_client import REGISTRY

from services.kit.supervise import Supervisor

pytestmark = pytest.mark.anyio


def restarts(name: str) -> float:
    return REGISTRY.get_sample_value("baton_task_restarts_total", {"task": name}) or 0.0


class Task:
    """Fails the first `failures` times, and then runs until it is cancelled."""

    def __init__(self, failures: int, *, how: str = "raise") -> None:
        self.starts = 0
        self.cancelled = False
        self.runs = asyncio.Event()
        self._failures = failures
        self._how = how

    async def run(self) -> None:
        self.starts += 1
        if self.starts <= self._failures:
            if self._how == "raise":
                raise ConnectionError("gone")
            return
        self.runs.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled = True


@pytest.mark.parametrize("how", ["raise", "return"])
async def test_a_task_that_ends_is_started_again(how: str) -> None:
    task, before = Task(3, how=how), restarts(f"test {how}")
    async with Supervisor(first_delay_s=0.001) as supervisor:
        supervisor.start(f"test {how}", task.run)
        await asyncio.wait_for(task.runs.wait(), 5)
        assert task.starts == 4
        assert supervisor.down == {}
    assert restarts(f"test {how}") == before + 3


async def test_a_task_that_waits_for_its_restart_is_seen_with_its_error() -> None:
    task = Task(1)
    async with Supervisor(first_delay_s=0.05) as supervisor:
        supervisor.start("test seen", task.run)
        while not supervisor.down:  # noqa: ASYNC110 (until the task has had its turn)
            await asyncio.sleep(0)
        assert supervisor.down == {"test seen": "ConnectionError: gone"}
        await asyncio.wait_for(task.runs.wait(), 5)
        assert supervisor.down == {}


async def test_it_waits_longer_each_time() -> None:
    starts: list[float] = []

    async def run() -> None:
        starts.append(asyncio.get_running_loop().time())
        raise ConnectionError("gone")

    async with Supervisor(first_delay_s=0.02, longest_delay_s=0.08) as supervisor:
        supervisor.start("test backoff", run)
        while len(starts) < 5:  # noqa: ASYNC110 (it is the passing of time that is tested)
            await asyncio.sleep(0.005)
    waits = [later - earlier for earlier, later in itertools.pairwise(starts[:5])]
    assert all(wait >= least for wait, least in zip(waits, (0.02, 0.04, 0.08, 0.08), strict=True))


async def test_one_tasks_failure_does_not_touch_another() -> None:
    steady, failing = Task(0), Task(2)
    async with Supervisor(first_delay_s=0.001) as supervisor:
        supervisor.start("test steady", steady.run)
        supervisor.start("test failing", failing.run)
        await asyncio.wait_for(failing.runs.wait(), 5)
        assert steady.starts == 1


async def test_closing_ends_all_and_waits_for_them() -> None:
    tasks = [Task(0), Task(0)]
    supervisor = Supervisor()
    for number, task in enumerate(tasks):
        supervisor.start(f"test {number}", task.run)
        await asyncio.wait_for(task.runs.wait(), 5)
    await supervisor.close()
    assert [task.cancelled for task in tasks] == [True, True]
