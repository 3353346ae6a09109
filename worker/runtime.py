"""What a worker process holds between tasks: an event loop, connections, and the ways out of a commit."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import structlog
import uvloop
from redis.exceptions import RedisError

from contracts.ids import SessionId
from services.kit.database import Database
from services.kit.outbox import Outgoing, Relay
from services.kit.redis_client import connect
from services.kit.rooms import Publication, Rooms
from services.points.service.announcing import Announcer
from services.puzzle.service import upkeep
from services.puzzle.service.upkeep import Position
from worker.settings import WorkerSettings

log = structlog.get_logger()
T = TypeVar("T")


class Resources:
    """Connections, made in the process and the loop that use them."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.redis = connect(settings.redis_url)
        self.relay = Relay(self.redis)
        self.points = Database(settings.database_url, "baton_points", deliver=self._deliver, pool_size=4)
        self.puzzle = Database(settings.database_url, "baton_puzzle", deliver=self._deliver, pool_size=4)
        self.announcer = Announcer(self.points, Rooms(self.redis, settings.finished_room_s * 1000))
        self.types = upkeep.load_types()
        self._sending: asyncio.Task[None] | None = None

    def _deliver(self, posted: Sequence[Any]) -> None:
        self.relay.send([message for message in posted if isinstance(message, Outgoing)])
        self.announcer.announce([message for message in posted if isinstance(message, Publication)])
        if self._sending is None:  # while the database is at the next transaction
            self._sending = asyncio.create_task(self._send())
            self._sending.add_done_callback(self._sent)

    def _sent(self, sending: asyncio.Task[None]) -> None:
        if not sending.cancelled() and sending.exception() is None:  # else `flush` raises it
            self._sending = None

    async def positions(self, session_ids: Collection[SessionId]) -> Mapping[SessionId, Position]:
        """How far the puzzle service has come in each of the sessions, in a transaction of its own (ADR 3)."""
        async with self.puzzle.transaction() as transaction:
            return await upkeep.positions(transaction, session_ids)

    async def flush(self) -> None:
        """Return when all that the transactions left is sent. What Valkey does not take now, the next sweep sends."""
        sending, self._sending = self._sending, None
        if sending is not None:
            await sending
        await self._send()

    async def _send(self) -> None:
        for flush in (self.relay.flush, self.announcer.flush, self.announcer.forget_told):
            try:
                await flush()
            except (RedisError, OSError) as error:
                log.warning("left_to_the_sweeper", error=repr(error))

    async def close(self) -> None:
        await self.redis.aclose()
        await self.points.close()
        await self.puzzle.close()


class Runtime:
    """Runs the services' asynchronous use cases from Celery's synchronous tasks, on one loop a process."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self._runner: asyncio.Runner | None = None
        self._resources: Resources | None = None

    def run(self, use: Callable[[Resources], Awaitable[T]]) -> T:
        """The result of `use`, after everything that its transactions posted was sent."""
        if self._runner is None:
            self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        return self._runner.run(self._use(use))

    async def _use(self, use: Callable[[Resources], Awaitable[T]]) -> T:
        if self._resources is None:
            self._resources = Resources(self.settings)
        try:
            return await use(self._resources)
        finally:
            await self._resources.flush()

    def close(self) -> None:
        """Release everything."""
        runner, resources = self._runner, self._resources
        self._runner = self._resources = None
        if runner is not None:
            if resources is not None:
                runner.run(resources.close())
            runner.close()
