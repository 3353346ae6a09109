"""How long games are kept: in the tables, in the archive, and then not at all."""

from services.kit import metrics
from services.kit.clock import now_ms
from services.kit.database import Database, Transaction
from services.kit.pruning import in_batches
from services.points.repository import archive, finished

GAMES_AT_ONCE = 100


async def archive_finished(database: Database, older_than_ms: int) -> int:
    """Archive the games that ended so long ago and whose replay agreed. Returns how many.

    What is asked about a game is answered all the same, and one that anything happens to comes back by itself. Any
    number of workers may do so at once.
    """

    async def move(transaction: Transaction, limit: int) -> int:
        return await archive.archive_games(transaction, await _ago(transaction, older_than_ms), limit)

    archived = await in_batches(database, move, GAMES_AT_ONCE)
    metrics.archived.inc(archived)
    async with database.transaction() as transaction:
        oldest = await finished.oldest_to_archive(transaction)
        due = await _ago(transaction, older_than_ms)
        metrics.archive_lag.set(0 if oldest is None else max(0, due - oldest) / 1000)
    return archived


async def forget_archived(database: Database, older_than_ms: int) -> int:
    """Delete the archived games that ended so long ago; standings go on counting them. Returns how many."""

    async def forget(transaction: Transaction, limit: int) -> int:
        return await archive.forget_archived(transaction, await _ago(transaction, older_than_ms), limit)

    forgotten = await in_batches(database, forget)
    metrics.forgotten.labels("games").inc(forgotten)
    return forgotten


async def _ago(transaction: Transaction, duration_ms: int) -> int:
    return await now_ms(transaction.connection) - duration_ms
