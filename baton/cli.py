"""The commands of `python -m baton`."""

import os
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from baton.demo.command import demo

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Run Baton on this machine.")
app.command("demo")(demo)


@app.command()
def up(
    host: Annotated[str, typer.Option(envvar="BATON_HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            envvar="BATON_PORT",
            min=1,
            max=65_533,
            help="Port of the address to open; without it, the first free one from 8000 on.",
        ),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget all games first.")] = False,
    data_dir: Annotated[Path, typer.Option(envvar="BATON_DATA_DIR", help="Folder for everything that is kept.")] = Path(
        ".baton"
    ),
) -> None:
    """Start everything on this machine and print the address to open."""
    from baton.launcher import Options
    from baton.launcher import up as start_everything

    raise typer.Exit(start_everything(Options(folder=data_dir, host=host, port=port, fresh=fresh)))


@app.command()
def migrate() -> None:
    """Bring the database at DATABASE_URL up to date."""
    from services.kit.migrate import migrate as run_migrations

    url = os.environ.get("DATABASE_URL")
    if not url:
        typer.echo("migrate: set DATABASE_URL to the address of the database", err=True)
        raise typer.Exit(78)
    run_migrations(url)
    typer.echo("migrate: the database is up to date")


@app.command()
def replay(
    session_id: Annotated[UUID, typer.Argument(help="The finished session.")],
    data_dir: Annotated[
        Path, typer.Option(envvar="BATON_DATA_DIR", help="Folder of `make up`, where DATABASE_URL is not set.")
    ] = Path(".baton"),
) -> None:
    """Re-create a finished game from its log and compare it with what is stored. Exit code 1 if they differ."""
    from baton.replay import replay as replay_game

    raise typer.Exit(replay_game(session_id, data_dir))


@app.command()
def keys() -> None:
    """Print new secrets as lines for .env."""
    from baton.keys import new_secrets

    typer.echo(new_secrets())


@app.command()
def watch(
    session_id: Annotated[str, typer.Argument(help="The session whose room to listen to.")],
    token: Annotated[str, typer.Option(envvar="BATON_TOKEN", help="A player's, host's or spectator's token.")],
    url: Annotated[str, typer.Option(envvar="BATON_URL", help="The gateway's address.")] = "http://127.0.0.1:8000",
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop after so long; without it, never.")] = None,
) -> None:
    """Print what the gateway says of a session, a line a message."""
    import asyncio

    from baton.watch import watch as listen

    raise typer.Exit(asyncio.run(listen(url, session_id, token, seconds)))
