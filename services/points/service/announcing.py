"""⑦ Telling rooms what was committed, and telling them again where something was lost on the way."""

import asyncio
from collections import deque
from collections.abc import Sequence

import structlog
from redis.exceptions import RedisError

from contracts.ids import RoomSeq, SessionId
from services.kit import crash_points, metrics
from services.kit.database import Database
from services.kit.rooms import Publication, Rooms
from services.points.repository import rooms as repository

log = structlog.get_logger()

WAITING_LIMIT = 20_000
BATCH = 100
FORGET_EVERY_S = 0.2
"""Well below the time after which the sweeper tells a room again."""


class Announcer:
    """Tells rooms after the commit, many in one round trip, without keeping anybody waiting.

    A room that is behind (somebody else's event is still on its way, or Valkey lost it) is sent the whole range from
    Postgres. What cannot be told stays in `untold_rooms`, and the sweeper tells it.
    """

    def __init__(self, database: Database, rooms: Rooms) -> None:
        self._database = database
        self._rooms = rooms
        self._waiting: deque[Publication] = deque(maxlen=WAITING_LIMIT)
        self._told: dict[SessionId, RoomSeq] = {}
        self._awake = asyncio.Event()

    def announce(self, publications: Sequence[Publication]) -> None:
        """Queue publications. Never blocks; while Valkey is away, the oldest in excess are left to the sweeper."""
        self._waiting.extend(publications)
        self._awake.set()

    async def run(self) -> None:
        """Tell for ever what is queued. Raises when Valkey or the database fails."""
        while True:
            await self._awake.wait()
            self._awake.clear()
            await self.flush()

    async def run_forgetting(self) -> None:
        """Take what was told from `untold_rooms`, for ever, all of a while in one transaction."""
        while True:
            await asyncio.sleep(FORGET_EVERY_S)
            await self.forget_told()

    async def forget_told(self) -> None:
        """Take what was told from `untold_rooms`. What is lost by an error is told once more, which changes nothing."""
        told, self._told = self._told, {}
        if told:
            crash_points.passed("forgotten.before")
            async with self._database.transaction() as transaction:
                await repository.forget_told(transaction, told)
            crash_points.passed("forgotten.after")

    async def flush(self) -> None:
        """Tell what is queued now. On an error the batch is left to the sweeper, and the error is raised."""
        while self._waiting:
            await self._tell([self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH))])

    async def rebuild(self, session_id: SessionId) -> bool:
        """Tell a room everything it may lack, from Postgres. False if there is no such session."""
        async with self._database.transaction(snapshot=True) as transaction:
            publication = await repository.read_range(transaction, session_id)
        if publication is None:
            return False
        metrics.room_rebuilds.inc()
        await self._tell([publication])
        return True

    async def sweep(self, limit: int = 200) -> int:
        """Tell the rooms that should have been told by now. Returns how many."""
        async with self._database.transaction() as transaction:
            untold = await repository.postpone_untold(transaction, limit)
        for session_id in untold:
            await self.rebuild(session_id)
        await self.forget_told()
        return len(untold)

    async def _tell(self, publications: list[Publication]) -> None:
        crash_points.passed("told.before")
        try:
            behind = await self._rooms.tell(publications)
        except (RedisError, OSError):
            metrics.room_failures.inc(len(publications))
            raise
        lagging = {room.session_id for room in behind}
        for session_id in lagging:
            metrics.room_gaps.inc()
            async with self._database.transaction(snapshot=True) as transaction:
                publication = await repository.read_range(transaction, session_id)
            if publication is not None:
                await self._rooms.tell([publication])
                publications = [p for p in publications if p.session_id != session_id] + [publication]
        crash_points.passed("told.after")
        metrics.rooms_told.inc(len(publications))
        for publication in publications:
            before = self._told.get(publication.session_id, RoomSeq(0))
            self._told[publication.session_id] = max(publication.last_seq, before)
