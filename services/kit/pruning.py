"""Deleting what was kept long enough, in small transactions: a big one would hold locks and old rows for long."""

import time
from collections.abc import Awaitable, Callable

from services.kit.database import Database, Transaction

BATCH = 1_000
RUN_S = 5.0
"""A worker's task may take 30 s; what is left after so long, the next run does."""


async def in_batches(
    database: Database, prune: Callable[[Transaction, int], Awaitable[int]], batch: int = BATCH, run_s: float = RUN_S
) -> int:
    """Call `prune` with at most so many rows to do, each time in a transaction of its own, until it finds fewer.

    It returns how many it did, and skips those that somebody else holds: any number may prune at once. Returns how
    many were done in all.
    """
    done, until = 0, time.monotonic() + run_s
    while True:
        async with database.transaction() as transaction:
            pruned = await prune(transaction, batch)
        done += pruned
        if pruned < batch or time.monotonic() >= until:
            return done
