"""Writes may be repeated: the same Idempotency-Key and body give the same response, and one effect.

The key is claimed in the transaction of the effect. A second request with the key waits for the first, and then reads
its response; if the first was rolled back, the second takes its place. Errors are not kept: a refused write changed
nothing, and may be tried again.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import Table, delete, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from services.kit.clock import now_ms
from services.kit.database import NOW_MS, Transaction
from services.kit.problem import Problem

KEPT_MS = 24 * 3600 * 1000

ModelT = TypeVar("ModelT", bound=BaseModel)


class OncePerKey:
    """Runs a write once for its key. `actor` keeps the keys of different callers apart."""

    def __init__(self, table: Any, key: str | None, request_hash: bytes) -> None:
        self._table: Table = table.__table__
        self._key = key
        self._hash = request_hash

    async def run(
        self,
        transaction: Transaction,
        actor: str,
        response: type[ModelT],
        write: Callable[[], Awaitable[ModelT]],
    ) -> ModelT:
        """The response of `write`, now or from the first time. Raises Problem 422 when the key was used otherwise."""
        if self._key is None:
            return await write()
        table = self._table
        connection = transaction.connection
        this = (table.c.actor == actor) & (table.c.key == self._key)
        claim = insert(table).values(actor=actor, key=self._key, request_hash=self._hash, created_at=NOW_MS)
        claimed = await connection.execute(claim.on_conflict_do_nothing().returning(table.c.key))
        if claimed.first() is None:
            earlier = (await connection.execute(select(table.c.request_hash, table.c.response).where(this))).one()
            if earlier.request_hash != self._hash:
                raise Problem(422, "idempotency_key_reused", "This Idempotency-Key was used for another request.")
            return response.model_validate_json(earlier.response)
        result = await write()
        await connection.execute(update(table).where(this).values(response=result.model_dump_json().encode()))
        return result


async def forget_old(transaction: Transaction, table: Any, limit: int) -> int:
    """Delete keys older than a day, the oldest first, at most so many. Returns how many."""
    columns = table.__table__.c
    old = (
        select(columns.actor, columns.key)
        .where(columns.created_at < await now_ms(transaction.connection) - KEPT_MS)
        .order_by(columns.created_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte()  # which is executed once
    )
    these = delete(table.__table__).where(tuple_(columns.actor, columns.key).in_(select(old)))
    return int((await transaction.connection.execute(these)).rowcount)
