"""What arrives while a transaction is under way, or shortly after one began, shares the next one."""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger()

MOST_TOGETHER = 64
APART_S = 0.008
"""How far apart groups begin. A transaction of two costs little more than one of one: where answers come close
together, each then costs less of the processors, for which all would have to wait longer than for this.
"""

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Alone(Exception):  # noqa: N818 (no error: an outcome)
    """The result of an item that is to be handled by itself, where its failure or its waiting harms no other."""


class Grouped(Generic[ItemT, ResultT]):
    """Handles together what waits, one group at a time. Nothing waits for others to come, unless it comes within
    APART_S of the beginning of the group before.

    `together` gives a result for each item, or the exception that its submitter gets, or Alone. Where it raises nothing
    has happened, and each item is given to `alone`.
    """

    def __init__(
        self,
        together: Callable[[Sequence[ItemT]], Awaitable[Sequence[ResultT | Exception]]],
        alone: Callable[[ItemT], Awaitable[ResultT]],
    ) -> None:
        self._together = together
        self._alone = alone
        self._waiting: deque[tuple[ItemT, asyncio.Future[ResultT]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_busy = False
        self._next_at = -math.inf

    async def submit(self, item: ItemT) -> ResultT:
        """The item's result, once it is there to stay. Raises the item's own exception.

        An item that was submitted is handled, also when the submitter has gone.
        """
        result: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        if not self._is_busy:
            self._is_busy = True
            self._start(self._work())
        return await result

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            # At least for a turn of the loop: whoever is at it comes along.
            await asyncio.sleep(max(0.0, self._next_at - loop.time()))
            self._next_at = loop.time() + APART_S
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_TOGETHER))]
            try:
                results = await self._together([item for item, _ in group])
            except Exception as error:  # noqa: BLE001 (whose fault it is, shows when each is handled by itself)
                log.info("group_failed", items=len(group), error=repr(error))
                results = [Alone()] * len(group)
            for (item, future), result in zip(group, results, strict=True):
                if isinstance(result, Alone):
                    self._start(self._handle(item, future))
                else:
                    _settle(future, result)
        self._is_busy = False

    async def _handle(self, item: ItemT, future: "asyncio.Future[ResultT]") -> None:
        try:
            result: ResultT | Exception = await self._alone(item)
        except Exception as error:  # noqa: BLE001 (the submitter gets it)
            result = error
        _settle(future, result)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _settle(future: "asyncio.Future[ResultT]", result: ResultT | Exception) -> None:
    if future.cancelled():  # its submitter has gone
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
