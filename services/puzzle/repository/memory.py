"""SQL on what is only remembered for a while."""

from sqlalchemy import delete

from services.kit.database import Transaction
from services.kit.models import table_of
from services.puzzle import models

inbox = table_of(models.Inbox)
dead_letters = table_of(models.DeadLetter)


async def forget_inbox(transaction: Transaction, before: int) -> int:
    """Delete what the inbox remembers from before an instant. Returns how many."""
    return int((await transaction.connection.execute(delete(inbox).where(inbox.c.seen_at < before))).rowcount)


async def forget_failures(transaction: Transaction, before: int) -> int:
    """Delete the failures from before an instant that were overcome, not the events given up. Returns how many."""
    overcome = dead_letters.c.dead_at.is_(None) & (dead_letters.c.first_at < before)
    return int((await transaction.connection.execute(delete(dead_letters).where(overcome))).rowcount)
