"""Writes may be repeated: the same Idempotency-Key and body give the same response, and one effect.

The key is claimed in the transaction of the effect. A second request with the key waits for the first, and then reads
its response; if the first was rolled back, the second takes its place. Errors are not kept: a refused write changed
nothing, and may be tried again.
"""

import hashlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel
from sqlalchemy import Table, delete, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from services.kit.clock import NOW_SQL, now_ms
from services.kit.database import NOW_MS, Transaction
from services.kit.problem import Problem

KEPT_MS = 24 * 3600 * 1000

ModelT = TypeVar("ModelT", bound=BaseModel)


class Key(NamedTuple):
    """`actor` keeps the keys of different callers apart."""

    actor: str
    key: str


class Response(NamedTuple):
    """What a request was answered."""

    request_hash: bytes
    body: bytes

    def repeated(self, request_hash: bytes) -> bytes:
        """The body, for the same request. Raises Problem 422 for another one."""
        if request_hash != self.request_hash:
            raise Problem(422, "idempotency_key_reused", "This Idempotency-Key was used for another request.")
        return self.body


def hash_of(method: str, path: str, body: bytes) -> bytes:
    """What tells one request from another with the same key."""
    return hashlib.sha256(f"{method} {path}\n".encode() + body).digest()


class Responses:
    """Responses of many requests at once, for writes that serialise equal requests by a lock of their own.

    To be asked for after that lock was taken. Where the keys of two requests are equal and their locks are not, the
    second fails when it adds its response, and has to ask again.
    """

    def __init__(self, table: Any) -> None:
        name = table.__table__.fullname
        keys = "unnest(CAST(:actors AS text[]), CAST(:keys AS text[])"
        self._find = text(
            f"""
            SELECT actor, key, request_hash, response
            FROM {name} JOIN {keys}) AS given (actor, key) USING (actor, key)
            """  # noqa: S608 (our own names)
        )
        self._add = text(
            f"""
            INSERT INTO {name} (actor, key, request_hash, response, created_at)
            SELECT actor, key, request_hash, response, {NOW_SQL}
            FROM {keys}, CAST(:hashes AS bytea[]), CAST(:bodies AS bytea[]))
                AS given (actor, key, request_hash, response)
            """  # noqa: S608 (our own names)
        )

    async def find(self, transaction: Transaction, keys: Collection[Key]) -> dict[Key, Response]:
        """The responses that there are."""
        if not keys:
            return {}
        rows = await transaction.connection.execute(self._find, _arrays(keys))
        return {Key(actor, key): Response(request_hash, body) for actor, key, request_hash, body in rows}

    async def add(self, transaction: Transaction, responses: Mapping[Key, Response]) -> None:
        """Keep responses. Raises IntegrityError where one is there already."""
        if not responses:
            return
        hashes = [response.request_hash for response in responses.values()]
        bodies = [response.body for response in responses.values()]
        await transaction.connection.execute(self._add, {**_arrays(responses), "hashes": hashes, "bodies": bodies})


def _arrays(keys: Collection[Key]) -> dict[str, list[str]]:
    return {"actors": [key.actor for key in keys], "keys": [key.key for key in keys]}


class OncePerKey:
    """Runs a write once for its key."""

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
            return response.model_validate_json(Response(*earlier).repeated(self._hash))
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
