"""One request, event or task is one transaction, and this is the only place that commits.

What has to leave the process because of a transaction (events, room messages) is posted to it and is handed on after
the commit, never before and never when it was rolled back.
"""

import select
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import BigInteger, event, literal_column, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from services.kit import crash_points
from services.kit.binary import speak_binary
from services.kit.clock import NOW_SQL

NOW_MS = literal_column(NOW_SQL, BigInteger)
"""The clock's `now_ms`, where a statement needs the time and no other round trip should be spent on it."""


class Transaction:
    """An open transaction and what is to be handed on once it is committed."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        self.posted: list[Any] = []

    def post(self, message: Any) -> None:
        """Hand `message` to the database's `deliver` after the commit."""
        self.posted.append(message)


def _speak_binary(connection: Any, *_: object) -> None:
    speak_binary(connection.driver_connection)


def _check(connection: Any, *_: object) -> None:
    """Refuse to use a connection that the server has closed; the pool then makes a new one.

    The server says nothing to an idle client but that it goes: so a look at the socket does instead of a round trip.
    """
    socket = select.poll()
    socket.register(connection.driver_connection.fileno(), select.POLLIN)
    if socket.poll(0):
        raise InvalidatePoolError


class Database:
    """A pool of connections that act as one role.

    `deliver` is given what a transaction posted, at once after its commit. It must not block and must not fail: what
    it loses is found again by a sweeper.
    """

    def __init__(
        self,
        url: str,
        role: str,
        *,
        deliver: Callable[[Sequence[Any]], None] | None = None,
        pool_size: int = 20,
        lock_timeout_ms: int = 3_000,
    ) -> None:
        self._deliver = deliver
        self.engine: AsyncEngine = create_async_engine(
            make_url(url).set(drivername="postgresql+psycopg"),
            pool_size=pool_size,
            # Connections beyond the pool would be made and closed again at every peak: more work than a query.
            max_overflow=0,
            pool_timeout=5,
            pool_use_lifo=True,  # the one used last has prepared most of what it will be asked
            connect_args={
                "connect_timeout": 5,
                "options": f"-c role={role} -c lock_timeout={lock_timeout_ms} -c timezone=UTC",
            },
        )

        event.listen(self.engine.sync_engine, "connect", _speak_binary)
        event.listen(self.engine.sync_engine, "checkout", _check)

    @asynccontextmanager
    async def transaction(self, *, snapshot: bool = False) -> AsyncIterator[Transaction]:
        """A transaction: committed when the block ends, rolled back when it raises.

        With `snapshot`, all its reads see one and the same state of the database.
        """
        async with self.engine.connect() as connection:
            if snapshot:
                await connection.execution_options(isolation_level="REPEATABLE READ")
            async with connection.begin():
                transaction = Transaction(connection)
                yield transaction
                crash_points.passed("commit.before")
        crash_points.passed("commit.after")
        if transaction.posted and self._deliver is not None:
            self._deliver(transaction.posted)

    async def ping(self) -> None:
        """Raise if the database does not answer."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()


def is_away(error: Exception) -> bool:
    """Whether the error says that the database does not answer, whatever it is asked."""
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    state: str | None = getattr(error.orig, "sqlstate", None)
    return error.connection_invalidated or state is None or state.startswith(("08", "57P"))
