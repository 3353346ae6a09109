"""Stream entries that cannot be applied: tried a bounded number of times, then put aside for somebody to look at."""

import structlog

from contracts.events import decode_points_event
from services.kit.database import Database, Transaction
from services.kit.dead_letters import TRANSIENT, DeadLetters, give_up_or_retry
from services.puzzle import models
from services.puzzle.service import roster
from services.puzzle.types.registry import Registry

log = structlog.get_logger()

_dead_letters = DeadLetters(models.DeadLetter)


async def event_failed(database: Database, stream: str, key: str, payload: bytes, error: Exception) -> bool:
    """Count a failed try to apply one of points' events. Returns whether it is given up; those behind it then pass."""

    async def skip(transaction: Transaction, payload: bytes) -> None:
        await roster.skip(transaction, decode_points_event(payload))

    return await give_up_or_retry(database, _dead_letters, stream, (key, payload, error), skip=skip)


async def message_failed(database: Database, stream: str, key: str, payload: bytes, error: Exception) -> bool:
    """The same for what is no fact, and has no place in an order."""

    async def skip_nothing(transaction: Transaction, payload: bytes) -> None:
        """Nobody waits behind it."""

    return await give_up_or_retry(database, _dead_letters, stream, (key, payload, error), skip=skip_nothing)


async def retry_dead_letters(database: Database, types: Registry, limit: int = 100) -> int:
    """Try once more to apply points' events that were given up. Returns how many took effect, now or before."""
    async with database.transaction() as transaction:
        dead = await _dead_letters.dead(transaction, limit)
    applied = 0
    for key, payload in dead:
        try:
            async with database.transaction() as transaction:
                event = decode_points_event(payload)
                await roster.apply_points_event(transaction, types, event, retried=True)
                await _dead_letters.forget(transaction, key)
            applied += 1
        except TRANSIENT:
            raise
        except Exception as error:  # noqa: BLE001 (it stays where it is; the next one may do better)
            log.warning("dead_letter_failed_again", entry=key, error=repr(error))
    return applied
