"""Transactions: committed or not at all, and nothing leaves the process before the commit."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from services.kit.clock import now_ms
from services.kit.database import Database, Transaction

pytestmark = pytest.mark.anyio


class Delivered:
    """What was handed on, and how many teams another connection saw at that moment."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.messages: list[Any] = []
        self.seen: list[int] = []

    def __call__(self, posted: Sequence[Any]) -> None:
        self.messages += posted
        self.seen.append(teams(self._url))


def teams(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM points.teams").fetchone()
        assert row is not None
        return int(row[0])


def asleep(url: str) -> bool:
    """Whether a statement that sleeps is under way."""
    with psycopg.connect(url) as connection:
        sleeper = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
        return connection.execute(sleeper).fetchone() is not None


async def insert(transaction: Transaction, code: str) -> None:
    statement = text("INSERT INTO points.teams VALUES (gen_random_uuid(), :code, 'Otters', 0)")
    await transaction.connection.execute(statement, {"code": code})


@pytest.fixture
def delivered(clean: None, database_url: str) -> Delivered:
    return Delivered(database_url)


@pytest.fixture
async def database(delivered: Delivered, database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, "baton_points", deliver=delivered, pool_size=4, lock_timeout_ms=100)
    yield database
    await database.close()


async def test_what_was_posted_is_handed_on_after_the_commit(database: Database, delivered: Delivered) -> None:
    async with database.transaction() as transaction:
        transaction.post("a")
        await insert(transaction, "A")
        transaction.post("b")
        assert delivered.messages == []
    assert delivered.messages == ["a", "b"]
    assert delivered.seen == [1]


async def test_what_was_rolled_back_is_never_handed_on(
    database: Database, delivered: Delivered, database_url: str
) -> None:
    async def fail() -> None:
        async with database.transaction() as transaction:
            transaction.post("a")
            await insert(transaction, "A")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await fail()
    assert delivered.messages == []
    assert teams(database_url) == 0


async def test_a_commit_that_fails_hands_nothing_on(fresh_database_url: str) -> None:
    with psycopg.connect(fresh_database_url) as connection:
        connection.execute(
            "ALTER TABLE points.teams ADD UNIQUE (name) DEFERRABLE INITIALLY DEFERRED",
        )
    delivered = Delivered(fresh_database_url)
    database = Database(fresh_database_url, "baton_points", deliver=delivered)

    async def commit() -> None:
        async with database.transaction() as transaction:
            await insert(transaction, "A")
            await insert(transaction, "B")
            transaction.post("a")

    with pytest.raises(DBAPIError):
        await commit()
    assert delivered.messages == []
    assert teams(fresh_database_url) == 0
    await database.close()


async def test_a_cancelled_transaction_is_rolled_back_and_its_connection_is_free_again(
    database: Database, database_url: str
) -> None:
    async def work() -> None:
        async with database.transaction() as transaction:
            await insert(transaction, "A")
            await transaction.connection.execute(text("SELECT pg_sleep(60)"))

    for _ in range(5):  # more often than there are connections
        task = asyncio.create_task(work())
        async with asyncio.timeout(30):
            while not asleep(database_url):  # Postgres forgets a cancellation that comes before its statement
                assert not task.done()
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with database.transaction() as transaction:
        await insert(transaction, "A")
    assert teams(database_url) == 1


async def test_a_snapshot_sees_one_state_and_others_the_newest(database: Database) -> None:
    count = text("SELECT count(*) FROM points.teams")
    async with database.transaction(snapshot=True) as snapshot, database.transaction() as other:
        seen = [
            (await snapshot.connection.execute(count)).scalar(),
            (await other.connection.execute(count)).scalar(),
        ]
        async with database.transaction() as writer:
            await insert(writer, "A")
        seen += [
            (await snapshot.connection.execute(count)).scalar(),
            (await other.connection.execute(count)).scalar(),
        ]
    assert seen == [0, 0, 0, 1]
    async with database.transaction() as after:  # the connection's next transaction is an ordinary one again
        level = (await after.connection.execute(text("SHOW transaction_isolation"))).scalar()
        assert level == "read committed"


async def test_a_lock_is_not_waited_for_without_end(database: Database, database_url: str) -> None:
    with psycopg.connect(database_url) as holder:
        holder.execute("LOCK TABLE points.teams IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(OperationalError):
            async with database.transaction() as transaction:
                await insert(transaction, "A")


async def test_a_connection_that_died_in_the_pool_is_replaced(database: Database, database_url: str) -> None:
    await database.ping()
    with psycopg.connect(database_url, autocommit=True) as killer:
        ended = killer.execute(  # and waits until they are gone
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
    assert (True,) in ended
    assert (False,) not in ended
    await database.ping()


async def test_the_clock_is_the_databases_and_moves_on_within_a_transaction(database: Database) -> None:
    async with database.transaction() as transaction:
        first = await now_ms(transaction.connection)
        await transaction.connection.execute(text("SELECT pg_sleep(0.02)"))
        assert 20 <= await now_ms(transaction.connection) - first < 5_000
        zone = (await transaction.connection.execute(text("SHOW timezone"))).scalar()
        assert zone == "UTC"


@pytest.mark.parametrize(("role", "foreign"), [("baton_points", "puzzle.puzzles"), ("baton_puzzle", "points.ledger")])
async def test_a_service_cannot_read_anothers_tables(database_url: str, role: str, foreign: str) -> None:
    database = Database(database_url, role)
    for statement in (
        f"SELECT * FROM {foreign}",  # noqa: S608 (names of our own tables)
        f"DELETE FROM {foreign}",  # noqa: S608
        f"TRUNCATE {foreign}",
        f"DROP TABLE {foreign}",
        f"SELECT * FROM {role.removeprefix('baton_')}.alembic_version",  # noqa: S608
        f"CREATE TABLE {role.removeprefix('baton_')}.more (id int)",
    ):
        with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
            async with database.transaction() as transaction:
                await transaction.connection.execute(text(statement))
    await database.close()
