"""Straight into a database, past all services, over connections that are kept: making one costs more than a query."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import psycopg
from psycopg.rows import dict_row
from psycopg.sql import Composed

Parameters = Sequence[object] | Mapping[str, object] | None
Row = dict[str, Any]

_kept: dict[tuple[str, str], psycopg.Connection[Row]] = {}


def query(url: str, statement: str | Composed, parameters: Parameters = None, *, options: str = "") -> list[Row]:
    """Run a statement in a transaction of its own; the rows that it returns, if any."""
    encoded = statement.encode() if isinstance(statement, str) else statement
    kept = _kept.get((url, options))
    if kept is not None:
        try:
            return _run(kept, encoded, parameters)
        except psycopg.OperationalError:
            if not kept.broken:
                raise
            kept.close()  # a test has stopped the server since
    fresh = _kept[url, options] = psycopg.connect(url, autocommit=True, row_factory=dict_row, options=options)
    return _run(fresh, encoded, parameters)


def _run(connection: psycopg.Connection[Row], statement: bytes | Composed, parameters: Parameters) -> list[Row]:
    cursor = connection.execute(statement, parameters)
    return cursor.fetchall() if cursor.description is not None else []


class Changes(Protocol):
    """Whoever changes a database."""

    def change(self, query: str) -> None: ...


async def change_schema(database: Changes, statement: str) -> None:
    """Change a table, or what hangs on it: in a thread, since whoever it has to wait for may run on this loop."""
    await asyncio.to_thread(database.change, statement)


def close() -> None:
    """Give up all that was kept."""
    while _kept:
        _kept.popitem()[1].close()
