"""Filling what a room has not heard from the room's log, before anything later is sent."""

import asyncio

import structlog

from contracts.ids import SessionId
from services.kit import metrics
from services.kit.supervise import stop
from services.realtime.recovery import RoomReader, RoomUnavailableError, UnknownSessionError
from services.realtime.room import Room

log = structlog.get_logger()

REPAIRS_AT_ONCE = 64
TRIES = 3


class Repairs:
    """One repair at a time for each room. What fails is tried again when the position check finds it next."""

    def __init__(self, reader: RoomReader) -> None:
        self._reader = reader
        self._tasks: dict[SessionId, asyncio.Task[None]] = {}
        self._turns = asyncio.Semaphore(REPAIRS_AT_ONCE)

    def start(self, room: Room) -> None:
        """Bring the room to where its log is, in the background, unless that is being done already."""
        if room.session_id not in self._tasks:
            self._tasks[room.session_id] = asyncio.create_task(self._run(room), name="repair")

    async def close(self) -> None:
        """Stop all repairs."""
        await stop(list(self._tasks.values()))

    async def _run(self, room: Room) -> None:
        try:
            async with self._turns:
                await self._repair(room)
        except RoomUnavailableError as error:
            log.warning("room_not_repaired", session_id=str(room.session_id), error=str(error))
        except UnknownSessionError:
            log.warning("session_is_gone", session_id=str(room.session_id))
            room.restart(None)
        except Exception:
            log.exception("repair_failed", session_id=str(room.session_id))
        finally:
            del self._tasks[room.session_id]

    async def _repair(self, room: Room) -> None:
        for _ in range(TRIES):
            if (position := room.position) is None:
                return
            reading = await self._reader.read(room.session_id, after=position.seq, floors=[position])
            missed = reading.since(position.seq) if reading.position.epoch == position.epoch else None
            if missed is None:
                # Another life of the database, or more was missed than the log holds.
                log.warning("sequence_lost", session_id=str(room.session_id), had=position, found=reading.position)
                room.restart(reading.position)
                return
            if room.catch_up(position.epoch, missed):
                metrics.gaps_repaired.inc()
            if not room.is_behind:
                return
