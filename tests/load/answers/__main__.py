"""`make bench-answers`: from an accepted answer to the award on the last socket of the team, beside a floor."""

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.load.answers import report
from tests.load.answers.floor import floor
from tests.load.answers.measure import Outcome, closed_loop, paced
from tests.load.answers.stage import Stage, stage
from tests.load.machine import BENCH, BenchError, raise_file_limit
from tests.load.tools import compile_tools

CLIENTS = "1,4,16,64,256"
FLOOR_CLIENTS = (1, 4, 16)
HALF_LOAD_TEAMS = 64


def main(
    clients: Annotated[str, typer.Option(help="How many clients answer at a time, with commas.")] = CLIENTS,
    seconds: Annotated[int, typer.Option(min=1, max=600, help="How long each measurement takes.")] = 6,
    out: Annotated[Path, typer.Option(help="The file for the figures.")] = BENCH / "answers.json",
) -> None:
    """Measure, print tables, leave them as JSON and Markdown. Ends with code 1 if awards were lost or doubled."""
    signal.signal(signal.SIGTERM, _interrupt)
    console = Console(width=None if sys.stdout.isatty() else 132, highlight=False)
    folder = Path(tempfile.mkdtemp(prefix="baton-bench-"))
    folder.chmod(0o711)  # the servers' user passes through it
    try:
        raise_file_limit()
        compile_tools()
        found = _measure(console, folder, [int(number) for number in clients.split(",")], seconds)
    except BenchError as error:
        console.print(f"bench-answers: {error}", style="red", markup=False)
        raise typer.Exit(1) from error
    finally:
        shutil.rmtree(folder)
    report.write(out, found)
    report.show(console, found)
    if any(row.get(fault) for row in found for fault in ("lost", "strays", "gaps")):
        raise typer.Exit(1)


def _measure(console: Console, folder: Path, clients: Sequence[int], seconds: int) -> list[report.Row]:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting Baton", total=len(FLOOR_CLIENTS) + len(clients) + 1)

        def done(what: str, per_s: float, p99_ms: float | None) -> None:
            console.print(f"{what}: {per_s:.0f}/s, p99 {p99_ms or 0:.1f} ms", style="dim")
            progress.advance(task)

        with stage(folder) as ready:
            floors = {}
            with floor(ready.postgres, folder) as database:
                for number in FLOOR_CLIENTS:
                    progress.update(task, description=f"floor · {number} clients")
                    floors[number] = run = database.run(number, seconds)
                    done(f"floor · {number} clients", run.per_s, run.p99_ms)
            closed: list[Outcome] = []
            for number in clients:
                progress.update(task, description=f"baton · {number} clients")
                closed.append(asyncio.run(closed_loop(ready, number, seconds)))
                done(f"baton · {number} clients", closed[-1].per_s, closed[-1].p99_ms)
            progress.update(task, description="baton · half load")
            half = _half_load(ready, closed, seconds)
            done("baton · half load", half.per_s, half.p99_ms)
    return report.rows(floors, closed, half)


def _half_load(ready: Stage, closed: Sequence[Outcome], seconds: int) -> Outcome:
    rate = max(1, round(max(outcome.per_s for outcome in closed) / 2))
    teams = min(HALF_LOAD_TEAMS, max(outcome.clients or 1 for outcome in closed))
    return asyncio.run(paced(ready, rate, teams, seconds))


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    typer.run(main)
