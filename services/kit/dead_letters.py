"""Events that cannot be applied: counted over restarts, and given up after bounded tries, never silently."""

from typing import Any

from sqlalchemy import Table, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from services.kit.clock import now_ms
from services.kit.database import Transaction


class DeadLetters:
    """One service's table of failures."""

    def __init__(self, table: Any) -> None:
        self._table: Table = table.__table__

    async def count(self, transaction: Transaction, entry_key: str, stream: str, payload: bytes, error: str) -> int:
        """Record one more failed try, and return how many there were."""
        table = self._table
        now = await now_ms(transaction.connection)
        statement = (
            insert(table)
            .values(entry_key=entry_key, stream=stream, payload=payload, error=error, tries=1, first_at=now)
            .on_conflict_do_update(
                index_elements=[table.c.entry_key], set_={"tries": table.c.tries + 1, "error": error}
            )
            .returning(table.c.tries)
        )
        return int((await transaction.connection.execute(statement)).scalar_one())

    async def bury(self, transaction: Transaction, entry_key: str) -> None:
        """Give the event up. It stays in the table for somebody to look at and to retry."""
        now = await now_ms(transaction.connection)
        table = self._table
        await transaction.connection.execute(update(table).where(table.c.entry_key == entry_key).values(dead_at=now))

    async def forget(self, transaction: Transaction, entry_key: str) -> None:
        """Drop the record of an event that has been applied after all."""
        await transaction.connection.execute(delete(self._table).where(self._table.c.entry_key == entry_key))

    async def dead(self, transaction: Transaction, limit: int = 100) -> list[tuple[str, bytes]]:
        """Keys and payloads of the events given up, oldest first."""
        table = self._table
        rows = await transaction.connection.execute(
            select(table.c.entry_key, table.c.payload)
            .where(table.c.dead_at.is_not(None))
            .order_by(table.c.first_at)
            .limit(limit)
        )
        return [(row.entry_key, row.payload) for row in rows]
