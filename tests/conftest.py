"""Real servers for all tests: each pytest-xdist worker has a Postgres and a Valkey of its own.

They are started when first asked for, and end with the worker, however it ends. Nothing is shared between workers.
"""

import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Generator, Iterator
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
import structlog
from fastapi import FastAPI
from psycopg import sql

from baton.servers import Postgres, Valkey
from tests import direct
from tests.scheduling import BySystems

SCHEMAS = ("puzzle", "points")
KEPT_TABLES = ["alembic_version", "epoch"]
GARBAGE_AFTER = (20_000, 20, 20)
OURS = ("BATON_", "DATABASE_URL", "REDIS_URL", "CELERY_")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> BySystems:
    return BySystems(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Modules and tests stay to the end. To look for garbage in so much takes half a second, again and again.

    Afterwards it is looked for seldom: with Python's own thresholds that is an eighth of all that the tests do.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(*GARBAGE_AFTER)
        gc.enable()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _signals_reach_children() -> None:
    """What a shell runs in the background ignores SIGINT, under nohup SIGHUP too, and so does all that it starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def _settings_of_the_developer_do_not_count() -> None:
    for name in [name for name in os.environ if name.startswith(OURS)]:
        del os.environ[name]


@pytest.fixture(scope="session", autouse=True)
def _tracebacks_are_plain() -> None:
    """structlog's pretty ones show all local variables and take seconds, in which an event loop stands still."""
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])


@pytest.fixture(scope="session", autouse=True)
def _connections_end() -> Iterator[None]:
    yield
    direct.close()


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder that the servers' user can reach, which pytest's own temporary folders are not."""
    folder = Path(tempfile.mkdtemp(prefix="baton-tests-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[Postgres]:
    """This worker's Postgres. A test that stops it starts it again."""
    with Postgres(server_folder / "postgres", durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def valkey(server_folder: Path) -> Iterator[Valkey]:
    """This worker's Valkey. A test that stops it starts it again."""
    with Valkey(server_folder / "valkey") as server:
        yield server


@pytest.fixture(scope="session")
def new_database(postgres: Postgres) -> Callable[[], str]:
    """Makes one more migrated database and returns its address; takes some 50 ms."""
    from services.kit.migrate import migrate

    numbers = count(1)

    def create(name: str, template: str) -> str:
        with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
            )
        return postgres.url_of(name)

    migrate(create("migrated", "template0"), schemas=SCHEMAS)
    return lambda: create(f"test_{next(numbers)}", "migrated")


@pytest.fixture(scope="session")
def database_url(new_database: Callable[[], str]) -> str:
    """A migrated database of this worker, kept between tests. Ask for `clean` to find it empty."""
    return new_database()


@pytest.fixture
def fresh_database_url(new_database: Callable[[], str]) -> str:
    """A migrated database of this test alone."""
    return new_database()


@pytest.fixture(scope="session")
def redis_url(valkey: Valkey) -> str:
    """Database 0 of this worker's Valkey, kept between tests. Ask for `clean` to find it empty."""
    return valkey.url


@pytest.fixture(scope="session")
def points_app(database_url: str, redis_url: str) -> FastAPI:
    """The points service on this worker's servers; FastAPI takes long to prepare its routes, so once for all tests.

    Whatever it holds is made anew each time that its lifespan begins. One test at a time may run it.
    """
    from services.points.main import application
    from services.points.settings import PointsSettings

    return application(PointsSettings(database_url=database_url, redis_url=redis_url))


@pytest.fixture(scope="session")
def puzzle_app(database_url: str, redis_url: str) -> FastAPI:
    """The puzzle service on this worker's servers, in the same way."""
    from services.puzzle.main import create_app
    from services.puzzle.settings import PuzzleSettings

    return create_app(PuzzleSettings(database_url=database_url, redis_url=redis_url))


@pytest.fixture(scope="session")
def _flusher(valkey: Valkey) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey.url, socket_timeout=5) as client:
        yield client


@pytest.fixture
def clean(database_url: str, _flusher: redis.Redis) -> None:
    """The worker's database and Valkey are empty when the test begins."""
    empty_database(database_url)
    _flusher.flushall()


def empty_database(url: str) -> None:
    """Empty all tables of the services, the append-only ones too. DELETE: for a few rows far cheaper than TRUNCATE."""
    direct.query(url, _deletion(url), options="-c lock_timeout=5s -c session_replication_role=replica")


@cache
def _deletion(url: str) -> sql.Composed:
    tables = direct.query(
        url,
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY(%s) AND NOT tablename = ANY(%s)",
        [list(SCHEMAS), KEPT_TABLES],
    )
    return sql.SQL("; ").join(sql.SQL("DELETE FROM {}").format(sql.Identifier(*table.values())) for table in tables)
