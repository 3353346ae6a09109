"""What every open room needs from time to time: a look at its position, a word that it is watched, and its end."""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any, Final

from contracts.channels import WATCHED_SHARDS, room_channel, shard_of, watched_rooms
from contracts.ids import RoomSeq
from services.kit.clock import local_ms
from services.kit.redis_client import ValkeyClient
from services.kit.supervise import wait
from services.realtime.hub import Hub
from services.realtime.listener import Subscriptions
from services.realtime.recovery import RoomReader
from services.realtime.repair import Repairs
from services.realtime.room import Room
from services.realtime.rounds import STEP_S, shares

CHECK_EVERY_S: Final = 5.0
CONFIRMED_ROUNDS: Final = 10
"""A room that hears its position again and again is looked at in one of so many rounds only."""
ON_ITS_WAY_S: Final = 0.2
"""A room that is behind for so long has lost the message; before that it may still come."""
ROOMS_A_CALL: Final = 500

WATCH_EVERY_S: Final = 10.0
WATCHED_FOR_MS: Final = 25_000
FORGOTTEN_AFTER_MS: Final = 60_000

CLOSE_EVERY_S: Final = 1.0
LINGER_S: Final = 5.0
"""A room whose last client has left stays subscribed for so long: most come back at once."""


class Upkeep:
    """Three tasks to be kept running. Each raises when Valkey does not answer, and may just be started again."""

    def __init__(
        self, redis: ValkeyClient, hub: Hub, reader: RoomReader, repairs: Repairs, subscriptions: Subscriptions
    ) -> None:
        self._redis = redis
        self._hub = hub
        self._reader = reader
        self._repairs = repairs
        self._subscriptions = subscriptions
        self._check_now = asyncio.Event()
        self._watch_now = asyncio.Event()
        self._opened: list[Room] = []

    def check_now(self) -> None:
        """Messages were lost: compare all positions at once."""
        self._check_now.set()

    def watch(self, room: Room) -> None:
        """Somebody has come into the room: say at once that it is watched, if it was not."""
        if len(room.members) == 1:
            self._opened.append(room)
            self._watch_now.set()

    async def check_positions(self) -> None:
        """Compare rooms with Valkey where no message tells their position: a lost last one leaves no gap to be seen."""
        loop = asyncio.get_running_loop()
        for number in count():
            rooms = list(self._hub)
            for share in shares(rooms, CHECK_EVERY_S):
                due_at = loop.time() + STEP_S
                # What a room was told is asked for all the same from time to time: ticks do not tell the epoch.
                ask_all = number % CONFIRMED_ROUNDS == 0
                await self._compare([room for room in share if ask_all or not room.is_confirmed])
                for room in share:
                    room.is_confirmed = False
                if await wait(self._check_now, max(0.0, due_at - loop.time())):
                    await self._compare(rooms)

    async def _compare(self, rooms: Sequence[Room]) -> None:
        """Repair the rooms that Valkey has lost, that are older there, or that have come further."""
        behind: list[tuple[Room, RoomSeq]] = []
        for start in range(0, len(rooms), ROOMS_A_CALL):
            asked = {room.key: room for room in rooms[start : start + ROOMS_A_CALL]}
            positions = {key: position for key, room in asked.items() if (position := room.position) is not None}
            for key, there in (await self._reader.differing(list(positions.items()))).items():
                room, position = asked[key], positions[key]
                if there is None or there.epoch != position.epoch or there.seq < position.seq:
                    self._repairs.start(room)
                else:
                    behind.append((room, there.seq))
        if behind:
            await asyncio.sleep(ON_ITS_WAY_S)
        for room, seq in behind:
            room.expect(seq)

    async def keep_watched(self) -> None:
        """Say which rooms somebody is in, so that they, and no others, are sent ticks."""
        loop = asyncio.get_running_loop()
        due_at = loop.time()
        shards: dict[int, list[Room]] = {}
        while True:
            await wait(self._watch_now, max(0.0, due_at - loop.time()))
            opened, self._opened = self._opened, []
            now = local_ms()
            pipeline = self._redis.pipeline(transaction=False)
            for shard, rooms in _by_shard(opened).items():
                _say_watched(pipeline, shard, rooms, now)
            if loop.time() >= due_at:
                due_at = loop.time() + WATCH_EVERY_S / WATCHED_SHARDS
                shards = shards or {shard: [] for shard in range(WATCHED_SHARDS)} | _by_shard(self._hub)
                shard, rooms = shards.popitem()
                _say_watched(pipeline, shard, rooms, now)
                pipeline.zremrangebyscore(watched_rooms(shard), "-inf", now - FORGOTTEN_AFTER_MS)
            await pipeline.execute()

    async def close_empty(self) -> None:
        """Stop listening to rooms that nobody has been in for a while."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(CLOSE_EVERY_S)
            if closed := self._hub.age(loop.time(), LINGER_S):
                await self._subscriptions.unsubscribe([room_channel(room.session_id) for room in closed])


def _by_shard(rooms: Iterable[Room]) -> dict[int, list[Room]]:
    shards: dict[int, list[Room]] = {}
    for room in rooms:
        shards.setdefault(shard_of(room.session_id), []).append(room)
    return shards


def _say_watched(pipeline: Any, shard: int, rooms: Iterable[Room], now: int) -> None:
    if watched := {str(room.session_id): now + WATCHED_FOR_MS for room in rooms if room.members}:
        pipeline.zadd(watched_rooms(shard), watched)
