"""What is not done in time, for /metrics: read from the database, so it is true whoever should have done it.

The worker has no page of its own. That it stands still, or that nobody asks it to do anything, is seen here.
"""

import asyncio

from services.kit import metrics
from services.kit.database import Database
from services.points.repository.backlog import read_backlog
from services.points.repository.outbox import dead_letters, outbox

EVERY_S = 5.0


async def keep_measuring(database: Database) -> None:
    """Measure every few seconds, for ever. Raises when the database does not answer."""
    while True:
        await measure(database)
        await asyncio.sleep(EVERY_S)


async def measure(database: Database) -> None:
    """Measure once."""
    async with database.transaction() as transaction:
        backlog = await read_backlog(transaction)
        await outbox.measure(transaction)
        await dead_letters.measure(transaction)
    metrics.settle_lag.set(backlog.due / 1000)
    metrics.awaited_lag.set(backlog.awaited / 1000)
    metrics.sessions_unfinished.set(backlog.unfinished)
    metrics.replay_lag.set(backlog.to_replay / 1000)
    metrics.replays_differing.set(backlog.differing)
