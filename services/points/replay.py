"""Replays one finished game: `python -m services.points.replay SESSION`, with `DATABASE_URL` set.

The exit code is 0 if all agrees, 1 if something differs, and 2 if there is nothing to compare.
"""

import asyncio
import sys
from uuid import UUID

import typer
from sqlalchemy.exc import SQLAlchemyError

from contracts.ids import SessionId
from services.kit.database import Database
from services.kit.problem import Problem
from services.kit.settings import DatabaseSettings, load
from services.points.models import SCHEMA
from services.points.service import replaying

EXIT_DIFFERS = 1
EXIT_NOTHING_TO_COMPARE = 2


async def run(settings: DatabaseSettings, session_id: SessionId) -> int:
    """Replay the game and print what came of it. Returns the exit code."""
    database = Database(settings.database_url, f"baton_{SCHEMA}", pool_size=1)
    try:
        async with database.transaction(snapshot=True) as transaction:
            found = await replaying.replay(transaction, session_id)
    except (Problem, SQLAlchemyError) as error:
        reason = error.detail if isinstance(error, Problem) else str(error).partition("(Background")[0].strip()
        typer.echo(f"replay: {reason}", err=True)
        return EXIT_NOTHING_TO_COMPARE
    finally:
        await database.close()
    typer.echo(
        f"session {session_id}: {found.events} events, {found.entries} ledger entries, survived {found.survival_ms} ms"
    )
    for difference in found.differences:
        typer.echo(f"differs: {difference}")
    typer.echo("the replay differs from what is stored" if found.differences else "the replay agrees in everything")
    return EXIT_DIFFERS if found.differences else 0


def main() -> int:
    """Replay the game that the command line names."""
    try:
        [session_id] = [SessionId(UUID(word)) for word in sys.argv[1:]]
    except ValueError:
        typer.echo("replay: name one session by its id", err=True)
        return EXIT_NOTHING_TO_COMPARE
    return asyncio.run(run(load(DatabaseSettings), session_id))


if __name__ == "__main__":
    sys.exit(main())
