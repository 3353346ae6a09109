"""Migrations: each service has its own schema, role and history, and they run as a job, not in each replica."""

from collections.abc import Sequence
from pathlib import Path

from alembic import command, context
from alembic.config import Config
from sqlalchemy import MetaData, create_engine, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.pool import NullPool

SERVICES = Path(__file__).parent.parent


def configuration(database_url: str, schema: str) -> Config:
    """Alembic's configuration for one service's migrations."""
    config = Config()
    config.set_main_option("script_location", str(SERVICES / schema / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["database_url"] = database_url
    config.attributes["schema"] = schema
    return config


def migrate(database_url: str, schemas: Sequence[str] = ("puzzle", "points")) -> None:
    """Bring the schemas to their newest version. Safe to run twice and side by side: the second waits."""
    for schema in schemas:
        command.upgrade(configuration(database_url, schema), "head")


def run_environment(metadata: MetaData) -> None:
    """The body of a service's `migrations/env.py`."""
    attributes = context.config.attributes
    schema: str = attributes["schema"]
    url = make_url(attributes["database_url"]).set(drivername="postgresql+psycopg")
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        # Until the end of the connection, since Alembic may commit in between.
        connection.execute(text("SELECT pg_advisory_lock(hashtext(:name))"), {"name": f"baton:{schema}"})
        _prepare(connection, schema)
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=metadata,
            version_table_schema=schema,
            include_schemas=True,
            include_name=lambda name, kind, _: kind != "schema" or name == schema,
            compare_type=True,
        )
        with context.begin_transaction():
            connection.execute(text("SET LOCAL lock_timeout = '3s'"))
            context.run_migrations()
        _grant(connection, schema)
        connection.commit()
    engine.dispose()


def _prepare(connection: Connection, schema: str) -> None:
    """Make the schema, and the role that its service acts as. Roles belong to the whole server, so one may be there."""
    connection.execute(
        text(
            f"""
            DO $$ BEGIN
                CREATE ROLE baton_{schema} NOLOGIN;
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
            END $$
            """
        )
    )
    connection.execute(text(f"GRANT baton_{schema} TO CURRENT_USER"))
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))


def _grant(connection: Connection, schema: str) -> None:
    """The service may use its tables and nothing else, not even its own table of versions."""
    role = f"baton_{schema}"
    connection.execute(text(f"GRANT USAGE ON SCHEMA {schema} TO {role}"))
    connection.execute(text(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}"))
    connection.execute(text(f"REVOKE ALL ON TABLE {schema}.alembic_version FROM {role}"))
    connection.execute(text(f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role}"))
