"""What goes to Postgres in binary comes back as it was."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from services.kit.database import Database

pytestmark = pytest.mark.anyio

VALUES: dict[str, list[Any]] = {
    "bigint": [-(2**63), -1, 0, 1, 2**31, 2**63 - 1],
    "smallint": [-(2**15), -1, 0, 2**15 - 1],
    "uuid": [UUID(int=0), uuid4(), UUID(int=2**128 - 1)],
    "text": ["", "NULL", '{"Otter,\\', "Øtter 🦦"],
    "bytea": [b"", b"\0", b'{"a":1}', bytes(range(256))],
    "boolean": [True, False],
}


@pytest.fixture
async def database(clean: None, database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, "baton_points", pool_size=1)
    yield database
    await database.close()


@pytest.mark.parametrize("kind", VALUES)
async def test_a_list_comes_back_as_it_was(database: Database, kind: str) -> None:
    statement = text(f"SELECT unnest(CAST(:items AS {kind}[]))")
    values = VALUES[kind]
    async with database.transaction() as transaction:
        for items in ([], [None], [None, None], values, [None, *values], [*values, None, values[0]]):
            for _ in range(8):  # also after it was prepared
                found = await transaction.connection.execute(statement, {"items": items})
                assert list(found.scalars()) == items


async def test_values_of_other_kinds_come_back(database: Database) -> None:
    kinds = """CAST('{"a": [1, null]}' AS jsonb), CAST('[2]' AS json), 2.5::float8, ARRAY['a', NULL], NULL"""
    async with database.transaction() as transaction:
        row = (await transaction.connection.exec_driver_sql(f"SELECT {kinds}")).one()
        assert tuple(row) == ({"a": [1, None]}, [2], 2.5, ["a", None], None)
