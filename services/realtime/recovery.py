"""Reading a room from Valkey, and having points tell it again where Valkey has lost it or fallen behind."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from redis.asyncio import RedisCluster
from redis.exceptions import RedisError, ResponseError

from contracts.channels import POINTS_GROUP, ROOM_REQUESTS, room_key, room_log
from contracts.events import RebuildRoom, encode
from contracts.ids import RoomSeq, SessionId
from services.kit import metrics
from services.kit.redis_client import ValkeyClient
from services.kit.supervise import stop
from services.realtime.reading import Position, Reading

REBUILD_TIMEOUT_S = 2.0
REBUILD_POLL_S = 0.05
READ = """
local room = {redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'state')}
if ARGV[1] then
  room[2] = redis.call('XRANGE', KEYS[2], ARGV[1], '+')
end
return room
"""
ROOMS_A_SCRIPT = 250
"""How many rooms of one server are looked at in one command; of a cluster, each may be somewhere else."""
_DIFFERING = """
local differing = {}
for i, room in ipairs(KEYS) do
  local there = redis.call('HMGET', room, 'epoch', 'seq')
  if (there[1] or '') .. ' ' .. (there[2] or '') ~= ARGV[i] then
    differing[#differing + 1] = {i - 1, there[1], there[2]}
  end
end
return differing
"""
READS_AT_ONCE = 32
"""Fewer than the connections of the pool, which refuses what is more instead of letting it wait."""


class RoomUnavailableError(Exception):
    """The room cannot be read at the moment: Valkey or points do not answer."""


class UnknownSessionError(Exception):
    """Points was asked for the room, and has no such session."""


class RoomReader:
    """The rooms in Valkey, as the gateway sees them."""

    def __init__(self, redis: ValkeyClient, rebuild_timeout_s: float = REBUILD_TIMEOUT_S) -> None:
        self._redis = redis
        self._rebuild_timeout_s = rebuild_timeout_s
        self._rebuilds: dict[SessionId, asyncio.Task[bool]] = {}
        self._shared: dict[tuple[SessionId, bool], asyncio.Task[Reading]] = {}
        self._turns = asyncio.Semaphore(READS_AT_ONCE)

    async def read_for_joins(
        self, session_id: SessionId, *, with_log: bool, floors: Sequence[Position] = ()
    ) -> Reading:
        """As `read`, with the whole log or none of it: one reading for all who ask while it is under way."""
        after = RoomSeq(0) if with_log else None
        key = session_id, with_log
        task = self._shared.get(key)
        if task is None:
            task = self._shared[key] = asyncio.create_task(self.read(session_id, after=after), name="reading")
            task.add_done_callback(lambda _: self._shared.pop(key))
        reading = await asyncio.shield(task)
        if all(map(reading.reaches, floors)):
            return reading
        return await self.read(session_id, after=after, floors=floors)

    async def read(
        self, session_id: SessionId, *, after: RoomSeq | None = None, floors: Sequence[Position] = ()
    ) -> Reading:
        """The room, which has come at least as far as all `floors`, and its events after `after`.

        A room that is missing or behind is rebuilt by points first, within the time-out. Raises UnknownSessionError
        and RoomUnavailableError.
        """
        reading = await self._read(session_id, after)
        handled = True
        # Twice, since a rebuild that others asked for may have begun before what is looked for was there, and since
        # Valkey may lose a room again between rebuild and reading.
        for _ in range(2):
            if reading is not None and all(map(reading.reaches, floors)):
                return reading
            if handled:
                handled = await self._rebuild(session_id)
                reading = await self._read(session_id, after)
        if reading is None and handled:
            raise UnknownSessionError
        if reading is None or not all(map(reading.reaches, floors)):
            raise RoomUnavailableError("the room was not rebuilt in time")
        return reading

    async def read_anew(self, session_id: SessionId, *, with_log: bool, floors: Sequence[Position] = ()) -> Reading:
        """As `read_for_joins`, after points has told the room all that it knows now."""
        if not await self._rebuild(session_id):
            raise RoomUnavailableError("points does not answer")
        return await self.read(session_id, after=RoomSeq(0) if with_log else None, floors=floors)

    async def differing(self, positions: Sequence[tuple[str, Position]]) -> dict[str, Position | None]:
        """Which of the rooms, by their keys, are elsewhere, and where; None for what is missing. One round trip."""
        pipeline = self._redis.pipeline(transaction=False)
        size = 1 if isinstance(self._redis, RedisCluster) else ROOMS_A_SCRIPT
        for start in range(0, len(positions), size):
            asked = positions[start : start + size]
            # Few words, since it is the number of words that a command costs.
            ours = [f"{epoch} {seq}" for _, (epoch, seq) in asked]
            pipeline.eval(_DIFFERING, len(asked), *[key for key, _ in asked], *ours)
        answers = await self._ask_valkey(pipeline.execute) if positions else []
        return {
            positions[number * size + place][0]: _position(epoch, seq)
            for number, answer in enumerate(answers)
            for place, epoch, seq in answer
        }

    async def close(self) -> None:
        """Stop reading, and waiting for rebuilds."""
        await stop([*self._rebuilds.values(), *self._shared.values()])

    async def _read(self, session_id: SessionId, after: RoomSeq | None) -> Reading | None:
        metrics.room_reads.inc()
        # A script and not a transaction: it is one step on a cluster too.
        since = [] if after is None else [f"{after + 1}-0"]
        keys = room_key(session_id), room_log(session_id)
        (epoch, seq, state), *logs = await self._ask_valkey(lambda: self._redis.eval(READ, len(keys), *keys, *since))
        position = _position(epoch, seq)
        if position is None or state is None:
            return None
        log = [(_seq(entry_id), body) for entry_id, (_, body) in logs[0]] if logs else None
        return Reading(position, state, log)

    async def _ask_valkey(self, question: Callable[[], Awaitable[Any]]) -> Any:
        async with self._turns:
            try:
                return await question()
            except (RedisError, OSError) as error:
                raise RoomUnavailableError(f"Valkey: {error}") from error

    async def _rebuild(self, session_id: SessionId) -> bool:
        """Ask points for the room, once for all who wait for it. Returns whether points has handled the request."""
        task = self._rebuilds.get(session_id)
        if task is None:
            task = self._rebuilds[session_id] = asyncio.create_task(self._ask_once(session_id), name="rebuild")
        return await asyncio.shield(task)

    async def _ask_once(self, session_id: SessionId) -> bool:
        try:
            return await self._ask(session_id)
        finally:
            del self._rebuilds[session_id]

    async def _ask(self, session_id: SessionId) -> bool:
        request = encode(RebuildRoom(session_id=session_id))
        request_id: bytes = await self._ask_valkey(
            lambda: self._redis.xadd(ROOM_REQUESTS, {"e": request}, maxlen=100_000, approximate=True)
        )
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._rebuild_timeout_s
        while not await self._is_handled(request_id):
            if loop.time() > deadline:
                return False
            await asyncio.sleep(REBUILD_POLL_S)
        return True

    async def _is_handled(self, request_id: bytes) -> bool:
        """Whether points' consumer group was given the request and has acknowledged it."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.xinfo_groups(ROOM_REQUESTS)
        # Asked after that: what was delivered is pending until it is acknowledged.
        pipeline.xpending_range(ROOM_REQUESTS, POINTS_GROUP, request_id, request_id, 1)
        try:
            groups, pending = await self._ask_valkey(pipeline.execute)
        except RoomUnavailableError as error:
            if isinstance(error.__cause__, ResponseError):
                return False  # no such stream or group, because Valkey was emptied or points has not started yet
            raise
        [group] = [group for group in groups if group["name"] == POINTS_GROUP.encode()]
        return _entry(group["last-delivered-id"]) >= _entry(request_id) and not pending


def _entry(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition(b"-")
    return int(milliseconds), int(number)


def _seq(entry_id: bytes) -> RoomSeq:
    return RoomSeq(_entry(entry_id)[0])


def _position(epoch: bytes | None, seq: bytes | None) -> Position | None:
    return None if epoch is None or seq is None else Position(epoch.decode(), RoomSeq(int(seq)))
