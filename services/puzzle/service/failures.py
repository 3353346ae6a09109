"""Stream entries that cannot be applied: tried a bounded number of times, then put aside for somebody to look at."""

from contracts.events import decode_points_event
from services.kit.database import Database, Transaction
from services.kit.dead_letters import DeadLetters, give_up_or_retry, retry_dead
from services.puzzle import models
from services.puzzle.service import roster
from services.puzzle.types.registry import Registry

dead_letters = DeadLetters(models.DeadLetter)


async def event_failed(database: Database, stream: str, key: str, payload: bytes, error: Exception) -> bool:
    """Count a failed try to apply one of points' events. Returns whether it is given up; those behind it then pass."""

    async def skip(transaction: Transaction, payload: bytes) -> None:
        await roster.skip(transaction, decode_points_event(payload))

    return await give_up_or_retry(database, dead_letters, stream, (key, payload, error), skip=skip)


async def retry_dead_letters(database: Database, types: Registry, limit: int = 100) -> int:
    """Try once more to apply points' events that were given up. Returns how many took effect."""

    async def apply(transaction: Transaction, payload: bytes) -> None:
        await roster.apply_points_event(transaction, types, decode_points_event(payload), retried=True)

    return await retry_dead(database, dead_letters, apply, limit)
