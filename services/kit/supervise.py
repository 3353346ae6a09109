"""Every background task runs under one supervisor: restarted with backoff, counted, visible in /readyz."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Self

import structlog

from services.kit import metrics

log = structlog.get_logger()

STABLE_AFTER_S = 10.0


async def stop(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they have ended.

    Again and again: redis-py loses a cancellation that comes while it sets up a connection, or (by `asyncio.wait_for`
    before Python 3.12) at the moment at which what it waits for is done.
    """
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=0.2)


async def wait(event: asyncio.Event, timeout_s: float | None) -> bool:
    """Wait for the event, but not longer than that, and reset it. Returns whether it happened."""
    try:
        async with asyncio.timeout(timeout_s):
            return await event.wait()
    except TimeoutError:
        return False
    finally:
        event.clear()


class Supervisor:
    """Keeps coroutines running until it is closed. One that ends or raises is started again after a while."""

    def __init__(self, *, first_delay_s: float = 0.1, longest_delay_s: float = 5.0) -> None:
        self._first_delay_s = first_delay_s
        self._longest_delay_s = longest_delay_s
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.down: dict[str, str] = {}
        """Tasks that are waiting for their restart, with the error that ended them."""

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Keep `run` running under `name`."""
        self._tasks[name] = asyncio.create_task(self._keep(name, run), name=name)

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        delay = self._first_delay_s
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            try:
                await run()
                error = "ended"
            except Exception as failure:
                error = f"{type(failure).__name__}: {failure}"
                log.warning("task_failed", task=name, error=error, exc_info=failure)
            if loop.time() - started > STABLE_AFTER_S:
                delay = self._first_delay_s
            self.down[name] = error
            metrics.task_restarts.labels(name).inc()
            await asyncio.sleep(delay)
            delay = min(delay * 2, self._longest_delay_s)
            self.down.pop(name, None)

    async def drop(self, name: str) -> None:
        """Stop keeping that task running."""
        await stop([self._tasks.pop(name)])
        self.down.pop(name, None)

    async def close(self) -> None:
        """Cancel all tasks and wait until they have ended."""
        await stop(self._tasks.values())
        self._tasks.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
