"""The schema `puzzle`: its history, its models, and who may see it."""

import psycopg
import pytest
from alembic import command
from psycopg import sql

from services.kit.migrate import configuration, migrate


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'puzzle'").fetchall()
    return {name for (name,) in found} - {"alembic_version"}


def test_models_and_migrations_agree(fresh_database_url: str) -> None:
    command.check(configuration(fresh_database_url, "puzzle"))


def test_migrations_go_back_to_nothing_and_forward_again(fresh_database_url: str) -> None:
    before = tables(fresh_database_url)
    assert "puzzles" in before
    command.downgrade(configuration(fresh_database_url, "puzzle"), "base")
    assert tables(fresh_database_url) == set()
    migrate(fresh_database_url, ["puzzle"])
    assert tables(fresh_database_url) == before


def test_the_services_role_sees_its_own_schema_and_no_other(fresh_database_url: str) -> None:
    with psycopg.connect(fresh_database_url, options="-c role=baton_puzzle", autocommit=True) as connection:
        for table in tables(fresh_database_url):
            connection.execute(sql.SQL("SELECT count(*) FROM puzzle.{}").format(sql.Identifier(table)))
        for forbidden in (
            sql.SQL("SELECT 1 FROM points.sessions"),
            sql.SQL("SELECT 1 FROM puzzle.alembic_version"),
            sql.SQL("CREATE TABLE puzzle.more ()"),
            sql.SQL("DROP TABLE puzzle.puzzles"),
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(forbidden)
