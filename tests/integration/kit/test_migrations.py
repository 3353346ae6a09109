"""Migrations: up, down and up again; the same tables that the models describe; safe twice and side by side."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import MetaData, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from baton.servers import Postgres
from services.kit.migrate import configuration, migrate
from services.points import standing_models as points
from services.puzzle import models as puzzle

ROOT = Path(__file__).parents[3]
SCHEMAS = {"points": points.Tally.metadata, "puzzle": puzzle.Base.metadata}


@pytest.fixture
def empty_url(postgres: Postgres) -> Iterator[str]:
    """A database without anything in it."""
    name = sql.Identifier("empty")
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        yield postgres.url_of("empty")
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def tables(url: str) -> dict[tuple[str, str], int]:
    """Our tables, with the number of their columns."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT table_schema, table_name, count(*) FROM information_schema.columns"
            " WHERE table_schema = ANY(%s) GROUP BY 1, 2",
            [list(SCHEMAS)],
        ).fetchall()
    return {(schema, name): count for schema, name, count in rows if name != "alembic_version"}


@contextmanager
def context(url: str, schema: str) -> Iterator[MigrationContext]:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    options: dict[str, Any] = {
        "version_table_schema": schema,
        "include_schemas": True,
        "compare_type": True,
        "compare_server_default": True,
        "include_name": lambda name, kind, _: kind != "schema" or name == schema,
    }
    with engine.connect() as connection:
        yield MigrationContext.configure(connection, opts=options)
    engine.dispose()


def differences(url: str, schema: str, metadata: MetaData) -> list[Any]:
    with context(url, schema) as found:
        return [
            difference
            for difference in compare_metadata(found, metadata)
            if not (difference[0] == "remove_table" and difference[1].name == "alembic_version")
        ]


@pytest.mark.parametrize(("schema", "metadata"), SCHEMAS.items())
def test_the_migrations_make_what_the_models_describe(database_url: str, schema: str, metadata: MetaData) -> None:
    assert differences(database_url, schema, metadata) == []


@pytest.mark.parametrize("schema", SCHEMAS)
def test_each_history_has_one_head(schema: str) -> None:
    script = ScriptDirectory.from_config(configuration("postgresql://", schema))
    assert len(script.get_heads()) == 1


def test_up_down_and_up_again(empty_url: str) -> None:
    migrate(empty_url)
    complete = tables(empty_url)
    assert {schema for schema, _ in complete} == set(SCHEMAS)
    for schema in SCHEMAS:
        command.downgrade(configuration(empty_url, schema), "base")
    assert tables(empty_url) == {}
    migrate(empty_url)
    assert tables(empty_url) == complete


def test_one_schema_alone(empty_url: str) -> None:
    migrate(empty_url, schemas=["points"])
    assert {schema for schema, _ in tables(empty_url)} == {"points"}


def test_a_second_run_changes_nothing(empty_url: str) -> None:
    migrate(empty_url)
    with psycopg.connect(empty_url) as connection:
        before = connection.execute("SELECT epoch FROM points.epoch").fetchall()
    migrate(empty_url)
    with psycopg.connect(empty_url) as connection:
        assert connection.execute("SELECT epoch FROM points.epoch").fetchall() == before


def test_runs_side_by_side_wait_for_one_another(empty_url: str) -> None:
    program = "import sys; from services.kit.migrate import migrate; migrate(sys.argv[1])"
    runs = [
        subprocess.Popen([sys.executable, "-c", program, empty_url], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [(run.communicate(timeout=60)[1], run.returncode) for run in runs] == [("", 0)] * 3
    assert differences(empty_url, "points", SCHEMAS["points"]) == []


def test_each_life_of_a_database_has_an_epoch_of_its_own(new_database: Callable[[], str], empty_url: str) -> None:
    migrate(empty_url)
    epochs = []
    for url in (new_database(), empty_url):
        with psycopg.connect(url) as connection:
            epochs.append(connection.execute("SELECT epoch FROM points.epoch").fetchall())
    assert epochs[0] != epochs[1]
    assert [len(rows) for rows in epochs] == [1, 1]
