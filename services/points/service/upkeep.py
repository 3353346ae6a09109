"""What the worker has done here besides settling: send again, forget, retry what was given up."""

from contracts.events import decode_puzzle_event
from services.kit import idempotency
from services.kit.clock import now_ms
from services.kit.database import Database, Transaction
from services.kit.dead_letters import retry_dead
from services.kit.pruning import in_batches
from services.points import models
from services.points.repository.outbox import dead_letters, outbox
from services.points.service import answers


async def sweep(database: Database, limit: int = 500) -> int:
    """Send again what the puzzle service has not confirmed in time. Returns how many events."""
    return await outbox.sweep(database, limit)


async def forget_old(database: Database) -> int:
    """Delete what was remembered long enough: responses by their key, failures that were overcome. Returns how many."""

    async def keys(transaction: Transaction, limit: int) -> int:
        return await idempotency.forget_old(transaction, models.Idempotency, limit)

    async def failures(transaction: Transaction, limit: int) -> int:
        before = await now_ms(transaction.connection) - idempotency.KEPT_MS
        return await dead_letters.forget_overcome(transaction, before, limit)

    return await in_batches(database, keys) + await in_batches(database, failures)


async def retry_dead_letters(database: Database, limit: int = 100) -> int:
    """Try once more to apply events that were given up. Returns how many took effect.

    Their place in the order is gone: they take effect at the instant up to which their session is settled by now.
    """

    async def apply(transaction: Transaction, payload: bytes) -> None:
        await answers.apply(transaction, decode_puzzle_event(payload), retried=True)

    return await retry_dead(database, dead_letters, apply, limit)
