"""Events that cannot be applied: counted over restarts, and given up after bounded tries, never silently."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog
from sqlalchemy import Table, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.kit import metrics
from services.kit.clock import now_ms
from services.kit.database import Database, Transaction

log = structlog.get_logger()


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

    async def forget(self, transaction: Transaction, entry_key: str) -> bool:
        """Drop the record of an event that is applied after all; False if somebody else did."""
        result = await transaction.connection.execute(delete(self._table).where(self._table.c.entry_key == entry_key))
        return result.rowcount > 0

    async def forget_overcome(self, transaction: Transaction, before: int, limit: int) -> int:
        """Delete failures from before an instant that were overcome, at most so many; those given up stay.

        Returns how many.
        """
        table = self._table
        old = (
            select(table.c.entry_key)
            .where(table.c.dead_at.is_(None), table.c.first_at < before)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte()  # which is executed once
        )
        result = await transaction.connection.execute(delete(table).where(table.c.entry_key.in_(select(old))))
        return result.rowcount

    async def measure(self, transaction: Transaction) -> None:
        """Say how many events are given up, and not retried yet."""
        dead = select(func.count()).select_from(self._table).where(self._table.c.dead_at.is_not(None))
        metrics.dead_letters_kept.labels(self._table.schema).set(
            (await transaction.connection.execute(dead)).scalar_one()
        )

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


TRANSIENT = (OperationalError, InterfaceError, PoolTimeout, OSError)
"""What is the fault of the moment and not of the event: the database is away, a lock was not to be had."""
MAX_TRIES = 5


async def give_up_or_retry(
    database: Database,
    dead_letters: DeadLetters,
    stream: str,
    failure: tuple[str, bytes, Exception],
    *,
    skip: Callable[[Transaction, bytes], Awaitable[None]],
) -> bool:
    """Count a failed try, and bury the event after too many; `skip` then lets those behind it pass.

    Undecodable events are buried at once. Returns whether it was given up. Raises what is only transient.
    """
    key, payload, error = failure
    if isinstance(error, TRANSIENT):
        raise error
    async with database.transaction() as transaction:
        tries = await dead_letters.count(transaction, key, stream, payload, repr(error)[:2000])
        hopeless = isinstance(error, msgspec.MsgspecError)
        if tries < MAX_TRIES and not hopeless:
            return False
        if not hopeless:
            await skip(transaction, payload)
        await dead_letters.bury(transaction, key)
    return True


async def retry_dead(
    database: Database,
    dead_letters: DeadLetters,
    apply: Callable[[Transaction, bytes], Awaitable[object]],
    limit: int,
) -> int:
    """Try events once more that were given up, each in a transaction of its own. Returns how many took effect.

    One that fails again stays where it is, for whoever looks into it. Raises what is only transient.
    """
    async with database.transaction() as transaction:
        dead = await dead_letters.dead(transaction, limit)
    applied = 0
    for key, payload in dead:
        try:
            async with database.transaction() as transaction:
                if not await dead_letters.forget(transaction, key):
                    continue  # somebody else is at it
                await apply(transaction, payload)
            applied += 1
        except TRANSIENT:
            raise
        except Exception as error:  # noqa: BLE001 (it stays where it is; the next one may do better)
            log.warning("dead_letter_failed_again", entry=key, error=repr(error))
    return applied
