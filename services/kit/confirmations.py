"""③ Hearing from a consumer what took effect there, many in one transaction.

A confirmation that is lost costs a duplicate, which is confirmed again; so they are read without acknowledgement, and
what was read, by whichever reader, is trimmed.
"""

import asyncio

import msgspec
import structlog
from redis.exceptions import ResponseError

from contracts.events import decode_confirmation
from contracts.ids import EventId
from services.kit import crash_points
from services.kit.database import Database
from services.kit.outbox import Outbox
from services.kit.redis_client import BLOCK_MS, ValkeyClient
from services.kit.streams import create_group, flatten

log = structlog.get_logger()

BATCH = 1_000
GATHER_S = 0.1
"""Between two readings, so that many share a transaction. Well below the time after which an event is sent again."""


class Confirmations:
    """One of the readers of an outbox's confirmations. Each is heard by one of the group."""

    def __init__(
        self, redis: ValkeyClient, database: Database, outbox: Outbox, *, stream: str, group: str, name: str
    ) -> None:
        self._redis = redis
        self._database = database
        self._outbox = outbox
        self._stream = stream
        self._group = group
        self._name = name

    async def run(self) -> None:
        """Delete for ever what is confirmed from the outbox. Raises when Valkey or the database fails."""
        await create_group(self._redis, self._stream, self._group)
        while True:
            try:
                reply = await self._redis.xreadgroup(
                    self._group, self._name, {self._stream: ">"}, count=BATCH, block=BLOCK_MS, noack=True
                )
            except ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
                await create_group(self._redis, self._stream, self._group)
                continue
            entries = flatten(reply)
            confirmed = [event_id for entry in entries if (event_id := _event_id(entry)) is not None]
            if confirmed:
                crash_points.passed("confirmed.before")
                async with self._database.transaction() as transaction:
                    await self._outbox.confirm(transaction, confirmed)
                crash_points.passed("confirmed.after")
            if entries:
                # Entries are given out in order: some reader has had all before the last one, a dead one too.
                await self._redis.xtrim(self._stream, minid=_after(entries[-1][0]), approximate=False)
                await asyncio.sleep(GATHER_S)


def _after(entry_id: bytes) -> str:
    milliseconds, _, number = entry_id.decode().partition("-")
    return f"{milliseconds}-{int(number) + 1}"


def _event_id(entry: tuple[bytes, dict[bytes, bytes] | None]) -> EventId | None:
    try:
        return decode_confirmation((entry[1] or {}).get(b"e", b"")).event_id
    except msgspec.MsgspecError as error:
        log.warning("unreadable_confirmation", entry=entry[0], error=str(error))
        return None
