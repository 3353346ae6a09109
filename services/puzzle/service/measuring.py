"""What is not done in time, for /metrics: read from the database, so it is true whoever should have done it."""

import asyncio

from services.kit.database import Database
from services.puzzle.service.dealing import outbox
from services.puzzle.service.failures import dead_letters

EVERY_S = 5.0


async def keep_measuring(database: Database) -> None:
    """Measure every few seconds, for ever. Raises when the database does not answer."""
    while True:
        async with database.transaction() as transaction:
            await outbox.measure(transaction)
            await dead_letters.measure(transaction)
        await asyncio.sleep(EVERY_S)
