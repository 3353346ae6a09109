"""What a route may ask for by its parameters: the transaction, and to take effect once for a key.

What is behind it lies in modules of their own, which the worker, too, can load without a web framework.
"""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Header, Request

from services.kit.database import Database, Transaction
from services.kit.idempotency import OncePerKey, hash_of

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=8,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="Repeat a request with the same key and it takes effect once.",
    ),
]


async def _transaction(request: Request) -> AsyncIterator[Transaction]:
    database: Database = request.app.state.database
    async with database.transaction() as transaction:
        yield transaction


async def _snapshot(request: Request) -> AsyncIterator[Transaction]:
    database: Database = request.app.state.database
    async with database.transaction(snapshot=True) as transaction:
        yield transaction


async def request_hash(request: Request) -> bytes:
    """What tells one request from another with the same Idempotency-Key."""
    return hash_of(request.method, request.scope["path"], await request.body())


async def _once(request: Request, key: IdempotencyKey = None) -> OncePerKey:
    return OncePerKey(request.app.state.idempotency, key, await request_hash(request))


RequestTransaction = Annotated[Transaction, Depends(_transaction, scope="function")]
"""The request's transaction. Function scope: it is committed before the response is sent, not after."""

RequestSnapshot = Annotated[Transaction, Depends(_snapshot, scope="function")]
"""For requests that only read, with more than one statement: they see one and the same state of the database."""

Once = Annotated[OncePerKey, Depends(_once)]
"""Runs a write once for the request's Idempotency-Key. The application's `state.idempotency` is the service's table."""
