"""`baton replay`: asks the points service to re-create a finished game, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import typer

from baton.plan import ROOT
from baton.servers import Postgres

EXIT_CONFIGURATION = 78


def replay(session_id: UUID, folder: Path) -> int:
    """Replay the game from the database at DATABASE_URL, or from that of `make up` in `folder`. Returns the exit code.

    That is 0 if all agrees, 1 if something differs, 2 if there is nothing to compare.
    """
    url = os.environ.get("DATABASE_URL") or running_database(folder)
    if url is None:
        typer.echo("replay: set DATABASE_URL to the address of the database; no `make up` runs here", err=True)
        return EXIT_CONFIGURATION
    command = [sys.executable, "-m", "services.points.replay", str(session_id)]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "DATABASE_URL": url}, check=False).returncode


def running_database(folder: Path) -> str | None:
    """The address of the embedded Postgres that was started for `folder`, if there is one."""
    server = Postgres(folder.resolve() / "postgres")
    try:
        server.port = int((server.data / "postmaster.pid").read_text().splitlines()[3])
        return server.url
    except (OSError, ValueError, IndexError):
        return None
