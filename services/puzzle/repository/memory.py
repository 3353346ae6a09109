"""SQL on what is only remembered for a while."""

from sqlalchemy import delete

from services.kit.database import Transaction
from services.kit.models import table_of
from services.puzzle import models

dead_letters = table_of(models.DeadLetter)


async def forget_failures(transaction: Transaction, before: int) -> int:
    """Delete the failures from before an instant that were overcome, not the events given up. Returns how many."""
    overcome = dead_letters.c.dead_at.is_(None) & (dead_letters.c.first_at < before)
    return int((await transaction.connection.execute(delete(dead_letters).where(overcome))).rowcount)
