"""Deleting in small transactions, side by side, and never for longer than a task may take."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.kit import idempotency, pruning
from services.kit.database import Database, Transaction
from services.points import models
from services.points.service import upkeep
from tests.points_game import Rows

pytestmark = pytest.mark.anyio


@pytest.fixture
def rows(clean: None, database_url: str) -> Rows:
    return Rows(database_url)


@pytest.fixture
async def database(rows: Rows) -> AsyncIterator[Database]:
    database = Database(rows.url, "baton_points", pool_size=4)
    yield database
    await database.close()


def remember(rows: Rows, count: int) -> None:
    rows.change(
        "INSERT INTO points.idempotency SELECT 'actor', number::text, '', '', number"
        " FROM generate_series(1, %s) AS number",
        count,
    )


def left(rows: Rows) -> int:
    return int(rows.value("SELECT count(*) FROM points.idempotency"))


async def prune(transaction: Transaction, limit: int) -> int:
    return await idempotency.forget_old(transaction, models.Idempotency, limit)


async def test_each_transaction_deletes_a_bounded_number_the_oldest_first(database: Database, rows: Rows) -> None:
    remember(rows, 25)
    found: list[int] = []

    async def noting(transaction: Transaction, limit: int) -> int:
        found.append(await prune(transaction, limit))
        return found[-1]

    assert await pruning.in_batches(database, noting, batch=10) == 25
    assert found == [10, 10, 5]
    remember(rows, 25)
    assert await pruning.in_batches(database, prune, batch=10, run_s=0.0) == 10
    assert rows.value("SELECT min(created_at) FROM points.idempotency") == 11


async def test_any_number_may_prune_at_once(database: Database, rows: Rows) -> None:
    remember(rows, 400)
    done = await asyncio.gather(*(pruning.in_batches(database, prune, batch=20) for _ in range(4)))
    assert sum(done) + left(rows) == 400
    assert sum(done) + await upkeep.forget_old(database) == 400


async def test_what_somebody_else_holds_is_left_to_the_next_run(database: Database, rows: Rows) -> None:
    remember(rows, 3)
    async with database.transaction() as transaction:
        assert await prune(transaction, 2) == 2
        assert await pruning.in_batches(database, prune) == 1
    assert left(rows) == 0


async def test_failures_that_were_overcome_are_forgotten_and_events_given_up_are_not(
    database: Database, rows: Rows
) -> None:
    rows.change(
        "INSERT INTO points.dead_letters VALUES ('dead', '', '', '', 5, 1, 1), ('overcome', '', '', '', 1, 1, NULL)"
    )
    assert await upkeep.forget_old(database) == 1
    assert rows.value("SELECT entry_key FROM points.dead_letters") == "dead"
