"""④⑤ Consuming a stream: at least once, in each session's order, acknowledged only after the commit.

One group reads a stream, so an entry is of no use once it is acknowledged, and is deleted with that: a stream is as
long as what is under way.
"""

import asyncio
import enum
import math
from collections.abc import Awaitable, Callable, Sequence
from operator import attrgetter
from typing import Any

import structlog
from redis.exceptions import ResponseError

from contracts.events import Confirmation, encode
from contracts.ids import SessionId
from services.kit import crash_points, metrics
from services.kit.redis_client import BLOCK_MS, ValkeyClient
from services.kit.stream_adding import add
from services.kit.stream_entries import Entry, RawEntry, entries_of

log = structlog.get_logger()

CLAIM_IDLE_MS = 15_000
"""Age from which another consumer's pending entry is taken over; several times the longest handling."""
CLAIM_EVERY_S = 2.0
HOLD_S = 2.0
"""How long an entry that came too early waits for its predecessor before it is left to the producer's re-send."""
APART_S = 0.008
"""How far apart readings begin, of which each may lead to a transaction: as in grouping.py."""
BATCH = 128
LANES_AT_ONCE = 8
"""Sessions handled side by side; fewer than the pool has connections, since requests need some too."""


class Outcome(enum.Enum):
    """What became of an event."""

    DONE = "done"
    DUPLICATE = "duplicate"
    EARLY = "early"
    ALONE = "alone"
    """Nothing yet: it is to be applied by itself, where its failure or its waiting harms no other."""


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
    `apply_all`, where it is given, does so for all that arrived together, in one transaction: those of a session in the
    order of their versions. Where it raises nothing has happened, and each is applied by itself.
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
        apply_all: Callable[[Sequence[bytes]], Awaitable[Sequence[Outcome]]] | None = None,
        confirmations: str | None = None,
    ) -> None:
        self._redis = redis
        self._stream = stream
        self._group = group
        self._name = name
        self._apply = apply
        self._apply_all = apply_all
        self._failed = failed
        self._confirmations = confirmations
        self._turns = asyncio.Semaphore(LANES_AT_ONCE)
        self._held: list[Entry] = []
        self._next_read_at = -math.inf

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
            given = flatten(reply)
            if not given:
                return
            cursor = given[-1][0]
            if trimmed := [entry_id for entry_id, fields in given if not fields]:
                await self._drop(trimmed)  # the stream was full; the producer sends them again
            await self._handle(entries_of([entry for entry in given if entry[1]]))

    async def _claim(self) -> list[Entry]:
        reply = await self._redis.xautoclaim(
            self._stream, self._group, self._name, CLAIM_IDLE_MS, start_id="0-0", count=BATCH
        )
        return entries_of(reply[1])

    async def _read(self) -> list[Entry]:
        """What came since; where readings follow each other closely, what comes in some milliseconds comes together."""
        loop = asyncio.get_running_loop()
        if (wait_s := self._next_read_at - loop.time()) > 0:
            await asyncio.sleep(wait_s)
        block = 20 if self._held else BLOCK_MS
        reply = await self._redis.xreadgroup(self._group, self._name, {self._stream: ">"}, count=BATCH, block=block)
        self._next_read_at = loop.time() + APART_S
        return entries_of(flatten(reply))

    async def _handle(self, entries: list[Entry]) -> None:
        """The events of one session one after the other, in the order of their versions."""
        held, self._held = self._held, []
        batch = sorted({entry.id: entry for entry in [*held, *entries]}.values(), key=attrgetter("position"))
        lanes: dict[SessionId | None, list[Entry]] = {}
        for entry in await self._together(batch):
            lanes.setdefault(entry.head.session_id, []).append(entry)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._lane(lane)) for lane in lanes.values()]
        await self._acknowledge([entry for task in tasks for entry in task.result()])

    async def _together(self, batch: list[Entry]) -> list[Entry]:
        """Apply at once what can be, and acknowledge or hold it. Returns what is to be applied by itself."""
        failed = {entry.head.session_id for entry in batch if entry.has_failed}
        fresh = [entry for entry in batch if entry.head.session_id not in failed]
        if self._apply_all is None or len(fresh) < 2:
            return batch
        try:
            outcomes = await self._apply_all([entry.payload for entry in fresh])
        except Exception as error:  # noqa: BLE001 (whose fault it is, shows when each is applied by itself)
            log.info("batch_failed", stream=self._stream, entries=len(fresh), error=repr(error))
            return batch
        by_outcome: dict[Outcome, list[Entry]] = {outcome: [] for outcome in Outcome}
        for entry, outcome in zip(fresh, outcomes, strict=True):
            by_outcome[outcome].append(entry)
        if early := by_outcome[Outcome.EARLY]:
            await self._hold(early)
        for counter, outcome in ((metrics.consumed, Outcome.DONE), (metrics.consumed_duplicates, Outcome.DUPLICATE)):
            counter.labels(self._stream).inc(len(by_outcome[outcome]))
        await self._acknowledge(by_outcome[Outcome.DONE] + by_outcome[Outcome.DUPLICATE])
        return [entry for entry in batch if entry.head.session_id in failed] + by_outcome[Outcome.ALONE]

    async def _lane(self, entries: list[Entry]) -> list[Entry]:
        """Those of one session's entries that may be acknowledged; the others are held for another try."""
        done = []
        async with self._turns:
            for number, entry in enumerate(entries):
                try:
                    outcome = await self._apply(entry.payload)
                except Exception as error:  # noqa: BLE001 (counted by `failed`, which gives up after bounded tries)
                    if await self._is_given_up(entry, error):
                        done.append(entry)
                    else:
                        entry.has_failed = True
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
            await self._drop(late)
        self._held += [entry for entry in early if now - entry.since <= HOLD_S]

    async def _acknowledge(self, entries: list[Entry]) -> None:
        if not entries:
            return
        pipeline = self._redis.pipeline(transaction=False)
        if self._confirmations:
            events = [entry.head.event_id for entry in entries if entry.head.event_id is not None]
            if events:
                add(pipeline, self._confirmations, [encode(Confirmation(event_id=event)) for event in events])
        self._add_drop(pipeline, [entry.id for entry in entries])
        crash_points.passed("acknowledge.before")
        await pipeline.execute()
        crash_points.passed("acknowledge.after")

    async def _drop(self, ids: Sequence[bytes]) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        self._add_drop(pipeline, ids)
        await pipeline.execute()

    def _add_drop(self, pipeline: Any, ids: Sequence[bytes]) -> None:
        """Acknowledge first: a pending entry that is deleted could not be read any more."""
        pipeline.xack(self._stream, self._group, *ids)
        pipeline.xdel(self._stream, *ids)


def flatten(reply: Any) -> list[RawEntry]:
    """The entries of an XREADGROUP of one stream."""
    if not reply:
        return []
    [(_, found)] = reply
    return [(entry[0], entry[1]) for entry in found]
