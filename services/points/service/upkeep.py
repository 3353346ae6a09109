"""What the worker has done here besides settling: send again, forget, retry what was given up."""

import structlog

from contracts.events import decode_puzzle_event
from services.kit import idempotency
from services.kit.database import Database, Transaction
from services.kit.dead_letters import TRANSIENT
from services.points import models
from services.points.repository.outbox import dead_letters, outbox
from services.points.service import answers

log = structlog.get_logger()


async def sweep(database: Database, limit: int = 500) -> int:
    """Send again what the puzzle service has not confirmed in time. Returns how many events."""
    return await outbox.sweep(database, limit)


async def forget_old(transaction: Transaction) -> int:
    """Delete what was remembered long enough: responses by their key. Returns how many."""
    return await idempotency.forget_old(transaction, models.Idempotency)


async def retry_dead_letters(database: Database, limit: int = 100) -> int:
    """Try once more to apply events that were given up. Returns how many took effect.

    Their place in the order is gone: they take effect at the instant up to which their session is settled by now.
    """
    async with database.transaction() as transaction:
        dead = await dead_letters.dead(transaction, limit)
    applied = 0
    for key, payload in dead:
        try:
            async with database.transaction() as transaction:
                if not await dead_letters.forget(transaction, key):
                    continue  # somebody else is at it
                await answers.apply(transaction, decode_puzzle_event(payload), retried=True)
            applied += 1
        except TRANSIENT:
            raise
        except Exception as error:  # noqa: BLE001 (it stays where it is; the next one may do better)
            log.warning("dead_letter_failed_again", entry=key, error=repr(error))
    return applied
