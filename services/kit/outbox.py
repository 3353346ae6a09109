"""③ Events leave by an outbox: committed with what they tell of, sent at once, and again until the consumer confirms.

Valkey may lose an entry that it has acknowledged; so a row is done when its *consumer* says so, and only then.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from redis.exceptions import RedisError
from sqlalchemy import ARRAY, Table, Uuid, any_, bindparam, delete, func, select, text, update

from contracts.events import Event, encode
from services.kit import crash_points, metrics
from services.kit.clock import now_ms
from services.kit.database import Database, Transaction
from services.kit.redis_client import ValkeyClient
from services.kit.stream_adding import add

log = structlog.get_logger()

FIRST_RETRY_MS = 2_000
LONGEST_RETRY_MS = 30_000
WAITING_LIMIT = 50_000


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event on its way to a stream."""

    stream: str
    payload: bytes


class Outbox:
    """One service's outbox table, and the stream that its events go to."""

    def __init__(self, table: Any, stream: str) -> None:
        self._table: Table = table.__table__
        self._stream = stream
        these = any_(bindparam("event_ids", type_=ARRAY(Uuid)))
        self._confirm = delete(self._table).where(self._table.c.event_id == these)
        self._add = text(
            f"""
            INSERT INTO {self._table.fullname}
                (event_id, session_id, version, stream, payload, created_at, next_try_at, tries)
            SELECT event_id, session_id, version, :stream, payload, at, at + {FIRST_RETRY_MS}, 0
            FROM unnest(
                CAST(:event_ids AS uuid[]), CAST(:session_ids AS uuid[]), CAST(:versions AS bigint[]),
                CAST(:payloads AS bytea[]), CAST(:instants AS bigint[])
            ) AS event (event_id, session_id, version, payload, at)
            """  # noqa: S608 (our own names)
        )

    async def add(self, transaction: Transaction, *events: Event) -> None:
        """Record events in the transaction, and send them as soon as it is committed."""
        if not events:
            return
        payloads = [encode(event) for event in events]
        parameters = {
            "event_ids": [event.event_id for event in events],
            "session_ids": [event.session_id for event in events],
            "versions": [event.version for event in events],
            "stream": self._stream,
            "payloads": payloads,
            "instants": [event.at for event in events],
        }
        await transaction.connection.execute(self._add, parameters)
        for payload in payloads:
            transaction.post(Outgoing(self._stream, payload))

    async def confirm(self, transaction: Transaction, event_ids: Iterable[UUID]) -> None:
        """Forget events that have taken effect at their consumer. Unknown ids are confirmations come twice."""
        result = await transaction.connection.execute(self._confirm, {"event_ids": list(event_ids)})
        metrics.outbox_confirmed.labels(self._stream).inc(result.rowcount)

    async def measure(self, transaction: Transaction) -> None:
        """Say how long the oldest event has been waiting for its confirmation."""
        now = await now_ms(transaction.connection)
        oldest = (await transaction.connection.execute(select(func.min(self._table.c.created_at)))).scalar()
        metrics.outbox_lag.labels(self._stream).set(0 if oldest is None else max(0, now - oldest) / 1000)

    async def sweep(self, database: Database, limit: int = 500) -> int:
        """Send again what was not confirmed in time, whole sessions in the order of their versions.

        Any number of sweepers may run at once: rows that one holds are skipped by the others. Returns how many rows
        were posted.
        """
        table = self._table
        async with database.transaction() as transaction:
            now = await now_ms(transaction.connection)
            due = (
                select(table.c.session_id).where(table.c.next_try_at <= now).order_by(table.c.next_try_at).limit(limit)
            )
            rows = (
                await transaction.connection.execute(
                    select(table.c.event_id, table.c.payload, table.c.tries)
                    .where(table.c.session_id.in_(due))
                    .order_by(table.c.session_id, table.c.version)
                    .with_for_update(skip_locked=True)
                )
            ).all()
            if not rows:
                return 0
            later = update(table).where(table.c.event_id == bindparam("id"))
            await transaction.connection.execute(
                later.values(next_try_at=bindparam("at"), tries=bindparam("count")),
                [
                    {
                        "id": row.event_id,
                        "at": now + min(FIRST_RETRY_MS * 2**row.tries, LONGEST_RETRY_MS),
                        "count": min(row.tries + 1, 10),
                    }
                    for row in rows
                ],
            )
            for row in rows:
                transaction.post(Outgoing(self._stream, row.payload))
        metrics.outbox_resent.labels(self._stream).inc(len(rows))
        return len(rows)


class Relay:
    """Sends events after the commit, many in one round trip, without keeping the request waiting.

    What it cannot send, or never gets to because the process dies, the sweeper sends again.
    """

    def __init__(self, redis: ValkeyClient) -> None:
        self._redis = redis
        self._waiting: deque[Outgoing] = deque(maxlen=WAITING_LIMIT)
        self._awake = asyncio.Event()

    def send(self, events: Sequence[Outgoing]) -> None:
        """Queue events. Never blocks; while Valkey is away, the oldest in excess are left to the sweeper."""
        self._waiting.extend(events)
        self._awake.set()

    async def run(self) -> None:
        """Send for ever what is queued. Raises when Valkey fails."""
        while True:
            await self._awake.wait()
            self._awake.clear()
            await self.flush()

    async def flush(self) -> None:
        """Send what is queued now. On an error the batch is left to the sweeper, and the error is raised."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), 200))]
            pipeline = self._redis.pipeline(transaction=False)
            streams: dict[str, list[bytes]] = {}
            for event in batch:
                streams.setdefault(event.stream, []).append(event.payload)
            for stream, payloads in streams.items():
                add(pipeline, stream, payloads)
            crash_points.passed("send.before")
            try:
                await pipeline.execute()
            except (RedisError, OSError):
                metrics.outbox_send_failures.labels(batch[0].stream).inc(len(batch))
                raise
            crash_points.passed("send.after")
            for stream, payloads in streams.items():
                metrics.outbox_sent.labels(stream).inc(len(payloads))
