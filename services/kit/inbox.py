"""⑤ An event takes effect once: its id is claimed in the same transaction as its effect."""

from typing import Any
from uuid import UUID

from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import insert

from services.kit.database import Transaction


class Inbox:
    """One service's inbox table."""

    def __init__(self, table: Any) -> None:
        self._table: Table = table.__table__

    async def claim(self, transaction: Transaction, event_id: UUID, now: int) -> bool:
        """Whether the event is new here. The claim is gone with a rollback."""
        statement = (
            insert(self._table)
            .values(event_id=event_id, seen_at=now)
            .on_conflict_do_nothing()
            .returning(self._table.c.event_id)
        )
        return (await transaction.connection.execute(statement)).first() is not None
