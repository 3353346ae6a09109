"""Ticks: watched rooms are told everybody's points, once a period. Writes nothing to Postgres."""

import random

from contracts.channels import WATCHED_SHARDS
from services.kit.clock import now_ms
from services.kit.database import Database
from services.kit.redis_client import ValkeyClient
from services.points.repository.ticks import Ticks

CLAIMED_FOR_MS = 800
"""Less than the period of the task, so that the next round of the same beat is not refused."""


async def tell_watched(database: Database, redis: ValkeyClient) -> int:
    """Tell all watched rooms the points at the database's now. Returns how many were told.

    The rooms are spread over shards, and each shard is told by whoever claims it first: however many ask, and however
    often, a room is told once a period. Raises RedisError when Valkey does not answer.
    """
    ticks = Ticks(redis)
    told = 0
    for shard in random.sample(range(WATCHED_SHARDS), WATCHED_SHARDS):
        if await ticks.claim(shard, CLAIMED_FOR_MS):
            now = await _now(database)
            told += await ticks.tell(await ticks.watched(shard, now), now)
    return told


async def _now(database: Database) -> int:
    async with database.transaction() as transaction:
        return await now_ms(transaction.connection)
