"""The worker's tasks in this process, before real databases."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from threading import Barrier, Thread
from typing import Any

import pytest

from tests.integration.worker.stage import Stage
from tests.points_game import Rows
from worker import tasks
from worker.runtime import Runtime
from worker.settings import WorkerSettings


@pytest.fixture
def new_runtime(clean: None, database_url: str, redis_url: str) -> Iterator[Callable[[], Runtime]]:
    """Makes what one worker process holds; a runtime is for one thread."""
    with ExitStack() as stack:

        def make() -> Runtime:
            runtime = Runtime(WorkerSettings(database_url=database_url, redis_url=redis_url))
            stack.callback(runtime.close)
            return runtime

        yield make


@pytest.fixture
def runtime(new_runtime: Callable[[], Runtime], monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """What the tasks run on in this test."""
    runtime = new_runtime()
    monkeypatch.setattr(tasks, "runtime", runtime)
    return runtime


@pytest.fixture
def rows(database_url: str) -> Rows:
    return Rows(database_url)


@pytest.fixture
def stage(runtime: Runtime, rows: Rows) -> Stage:
    return Stage(runtime, rows)


@pytest.fixture
def side_by_side(new_runtime: Callable[[], Runtime]) -> Callable[..., list[Any]]:
    """Runs a use case in two worker processes at once, as far as threads are processes."""

    def run(use: Callable[..., Any]) -> list[Any]:
        results: list[Any] = []
        together = Barrier(2)
        runtimes = [new_runtime() for _ in range(2)]

        def work(runtime: Runtime) -> None:
            together.wait()
            results.append(runtime.run(use))
            runtime.close()

        threads = [Thread(target=work, args=[runtime]) for runtime in runtimes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(results) == 2, "one of them failed"
        return results

    return run
