"""④⑤ Consuming a stream: at least once, in each session's order, acknowledged only after the commit."""

import asyncio
import enum
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
from redis.exceptions import ResponseError

from contracts.events import Confirmation, encode
from contracts.ids import EventId, SessionId
from services.kit import crash_points, metrics
from services.kit.redis_client import BLOCK_MS, ValkeyClient

log = structlog.get_logger()

CLAIM_IDLE_MS = 15_000
"""Age from which another consumer's pending entry is taken over; several times the longest handling."""
CLAIM_EVERY_S = 2.0
HOLD_S = 2.0
"""How long an entry that came too early waits for its predecessor before it is left to the producer's re-send."""
BATCH = 128
LANES_AT_ONCE = 8
"""Sessions handled side by side; fewer than the pool has connections, since requests need some too."""


class Outcome(enum.Enum):
    """What became of an event."""

    DONE = "done"
    DUPLICATE = "duplicate"
    EARLY = "early"


class _Head(msgspec.Struct):
    event_id: EventId | None = None
    session_id: SessionId | None = None
    version: int = 0


_decode_head = msgspec.json.Decoder(_Head).decode


@dataclass(slots=True)
class Entry:
    """A stream entry in the hands of this consumer. `key` names its event over re-sends."""

    id: bytes
    payload: bytes
    head: _Head
    since: float

    @property
    def key(self) -> str:
        return str(self.head.event_id or self.id.decode())


async def create_group(redis: ValkeyClient, stream: str, group: str) -> None:
    """Make the group if it is not there. From id 0, so that what was added before is not skipped."""
    try:
        await redis.xgroup_create(stream, group, id="0", mkstream=True)
    except ResponseError as error:
        if not str(error).startswith("BUSYGROUP"):
            raise


class Consumer:
    """One member of a consumer group.

    `apply` gives an event its effect in one transaction, and says whether it did; it raises where it cannot.
    `failed` records that, and returns True when the event is given up for good; it raises where even that is
    impossible (the database is away), and then the consumer starts again with what it has not acknowledged.
    `confirmations` is the stream on which the producer hears what took effect.
    """

    def __init__(
        self,
        redis: ValkeyClient,
        *,
        stream: str,
        group: str,
        name: str,
        apply: Callable[[bytes], Awaitable[Outcome]],
        failed: Callable[[str, bytes, Exception], Awaitable[bool]],
        confirmations: str | None = None,
    ) -> None:
        self._redis = redis
        self._stream = stream
        self._group = group
        self._name = name
        self._apply = apply
        self._failed = failed
        self._confirmations = confirmations
        self._turns = asyncio.Semaphore(LANES_AT_ONCE)
        self._held: list[Entry] = []

    async def run(self) -> None:
        """Consume for ever. Raises when Valkey or the database fails; nothing is lost by it."""
        loop = asyncio.get_running_loop()
        self._held = []
        await create_group(self._redis, self._stream, self._group)
        await self._resume()
        claim_at = loop.time()
        while True:
            try:
                if loop.time() >= claim_at:
                    claim_at = loop.time() + CLAIM_EVERY_S
                    await self._handle(await self._claim())
                await self._handle(await self._read())
            except ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
                # Valkey came back empty. From id 0, so that what was added meanwhile is not skipped.
                await create_group(self._redis, self._stream, self._group)

    async def _resume(self) -> None:
        """Handle what this consumer was given before it stopped and never acknowledged."""
        cursor = b"0"
        while True:
            reply = await self._redis.xreadgroup(self._group, self._name, {self._stream: cursor}, count=BATCH)
            entries = self._entries(flatten(reply))
            if not entries:
                return
            cursor = entries[-1].id
            await self._handle(entries)

    async def _claim(self) -> list[Entry]:
        reply = await self._redis.xautoclaim(
            self._stream, self._group, self._name, CLAIM_IDLE_MS, start_id="0-0", count=BATCH
        )
        return self._entries(reply[1])

    async def _read(self) -> list[Entry]:
        block = 20 if self._held else BLOCK_MS
        reply = await self._redis.xreadgroup(self._group, self._name, {self._stream: ">"}, count=BATCH, block=block)
        return self._entries(flatten(reply))

    def _entries(self, raw: Iterable[tuple[bytes, dict[bytes, bytes] | None]]) -> list[Entry]:
        now = asyncio.get_running_loop().time()
        entries = []
        for entry_id, fields in raw:
            payload = (fields or {}).get(b"e", b"")
            try:
                head = _decode_head(payload)
            except msgspec.MsgspecError:
                head = _Head()  # `apply` refuses it, and it ends as a dead letter
            entries.append(Entry(entry_id, payload, head, now))
        return entries

    async def _handle(self, entries: list[Entry]) -> None:
        """Sessions side by side, the events of one session one after the other, in the order of their versions."""
        held, self._held = self._held, []
        lanes: dict[SessionId | None, list[Entry]] = {}
        for entry in sorted({e.id: e for e in [*held, *entries]}.values(), key=_position):
            lanes.setdefault(entry.head.session_id, []).append(entry)
        if not lanes:
            return
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._lane(lane)) for lane in lanes.values()]
        done = [entry for task in tasks for entry in task.result()]
        if done:
            await self._acknowledge(done)

    async def _lane(self, entries: list[Entry]) -> list[Entry]:
        """Those of one session's entries that may be acknowledged; the others are held for another try."""
        async with self._turns:
            return await self._one_by_one(entries)

    async def _one_by_one(self, entries: list[Entry]) -> list[Entry]:
        done = []
        for number, entry in enumerate(entries):
            try:
                outcome = await self._apply(entry.payload)
            except Exception as error:  # noqa: BLE001 (counted by `failed`, which gives up after bounded tries)
                if await self._is_given_up(entry, error):
                    done.append(entry)
                else:
                    self._held.append(entry)
                continue
            if outcome is Outcome.EARLY:
                await self._hold(entries[number:])  # whatever comes after it is too early as well
                break
            counter = metrics.consumed if outcome is Outcome.DONE else metrics.consumed_duplicates
            counter.labels(self._stream).inc()
            done.append(entry)
        return done

    async def _is_given_up(self, entry: Entry, error: Exception) -> bool:
        metrics.consume_failures.labels(self._stream).inc()
        log.warning("consume_failed", stream=self._stream, entry=entry.key, error=repr(error))
        if not await self._failed(entry.key, entry.payload, error):
            return False
        metrics.dead_letters.labels(self._stream).inc()
        log.error("dead_letter", stream=self._stream, entry=entry.key, error=repr(error))
        return True

    async def _hold(self, early: list[Entry]) -> None:
        """Keep entries for their predecessor. Those that waited too long stay unconfirmed, and will be sent again."""
        metrics.consumed_early.labels(self._stream).inc(len(early))
        now = asyncio.get_running_loop().time()
        if late := [entry.id for entry in early if now - entry.since > HOLD_S]:
            await self._redis.xack(self._stream, self._group, *late)
        self._held += [entry for entry in early if now - entry.since <= HOLD_S]

    async def _acknowledge(self, entries: list[Entry]) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        if self._confirmations:
            for entry in entries:
                if entry.head.event_id is not None:
                    confirmation = encode(Confirmation(event_id=entry.head.event_id))
                    pipeline.xadd(self._confirmations, {"e": confirmation}, maxlen=100_000, approximate=True)
        pipeline.xack(self._stream, self._group, *[entry.id for entry in entries])
        crash_points.passed("acknowledge.before")
        await pipeline.execute()
        crash_points.passed("acknowledge.after")


def _position(entry: Entry) -> tuple[int, int, int]:
    """By version, so that a heap out of order takes one round, and then by place in the stream."""
    milliseconds, _, number = entry.id.partition(b"-")
    return entry.head.version, int(milliseconds), int(number)


def flatten(reply: Any) -> list[tuple[bytes, dict[bytes, bytes] | None]]:
    """The entries of an XREADGROUP of one stream."""
    if not reply:
        return []
    [(_, found)] = reply
    return [(entry[0], entry[1]) for entry in found]
