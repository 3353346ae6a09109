"""`make bench-decay`: what an interval of decay costs, for a hundred thousand players and for a million."""

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from baton.orphans import dies_with_us
from tests.load.decay.site import Site, Size, servers
from tests.load.machine import BENCH, ROOT, BenchError, foreign_cpu_s, surroundings
from tests.load.report import NOISY
from tests.load.tools import compile_tools

SESSIONS = "25000,250000"
LONGEST_S = 600

COLUMNS = {
    "players": ("players", 0),
    "sessions": ("sessions", 0),
    "seconds": ("seconds", 2),
    "settling": ("settle_s", 2),
    "telling": ("tell_s", 2),
    "out": ("eliminations", 0),
    "rows": ("rows_written", 0),
    "rows/out": ("rows_per_elimination", 2),
    "rooms told/s": ("rooms_told_per_s", 0),
    "worker CPU s": ("worker_cpu_s", 2),
    "worker MB": ("worker_rss_mb", 0),
    "UPDATE all s": ("floor_update_s", 2),
    "room script/s": ("floor_rooms_per_s", 0),
}


def main(
    sessions: Annotated[str, typer.Option(help="How many sessions of four players, with commas.")] = SESSIONS,
    share: Annotated[float, typer.Option(min=0, max=0.25, help="Which share of the players is out.")] = 0.01,
    out: Annotated[Path, typer.Option(help="The file for the figures.")] = BENCH / "decay.json",
) -> None:
    """Measure, print a table, leave it as JSON. Ends with code 1 if not all that was due was settled and told."""
    signal.signal(signal.SIGTERM, _interrupt)
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    BENCH.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="baton-bench-"))
    folder.chmod(0o711)  # the servers' user passes through it
    found = []
    try:
        compile_tools()
        with servers(folder) as (postgres, valkey):
            for number in map(int, sessions.split(",")):
                size = Size(number, round(number * 4 * share))
                found.append(_measure(console, Site(postgres, valkey, folder, size)))
    except BenchError as error:
        console.print(f"bench-decay: {error}", style="red", markup=False)
        raise typer.Exit(1) from error
    finally:
        shutil.rmtree(folder)
    out.write_text(json.dumps(found, indent=2) + "\n")
    _show(console, found)


def _measure(console: Console, site: Site) -> dict[str, Any]:
    size = site.size

    def say(what: str) -> None:
        console.print(f"{size.players} players: {what}", style="dim")

    say("making games")
    site.make_games()
    say("taking a point from everybody in a plain table")
    floor_update_s = site.floor_update_s()
    say("telling all rooms by the room script")
    floor_rooms_per_s = site.make_rooms()
    say("one interval")
    rows = site.rows_written()
    since, foreign = time.monotonic(), foreign_cpu_s()
    worker = _interval(site)
    foreign_share = (foreign_cpu_s() - foreign) / (time.monotonic() - since)
    eliminations = site.query("SELECT count(*) FROM points.session_events WHERE type = 'player.eliminated'")
    # A game that ends meanwhile may be told a last tick.
    if (worker["settled"], eliminations) != (size.falling, size.falling) or worker["told"] < _played(site):
        raise BenchError(f"{size.falling} were due, and this was done: {worker}, {eliminations} eliminations")
    written = site.rows_written() - rows
    site.drop()
    return {
        "players": size.players,
        "sessions": size.sessions,
        "seconds": round(worker["seconds"], 3),
        "rows_written": written,
        "eliminations": eliminations,
        "rooms_told_per_s": round(worker["told"] / worker["tell_s"]),
        "worker_cpu_s": round(worker["cpu_s"], 3),
        "worker_rss_mb": round(worker["rss_mb"], 1),
        "floor_update_s": round(floor_update_s, 3),
        "floor_rooms_per_s": round(floor_rooms_per_s),
        "settle_s": round(worker["settle_s"], 3),
        "tell_s": round(worker["tell_s"], 3),
        "rows_per_elimination": round(written / eliminations, 2) if eliminations else None,
        "foreign_share": round(foreign_share, 2),
    }


def _interval(site: Site) -> dict[str, Any]:
    """Both processes of a worker at once, as Celery has them: one settles, the other tells. With the time of both."""
    words = [sys.executable, "-m", "tests.load.decay.interval"]
    environment = surroundings(DATABASE_URL=site.url, REDIS_URL=site.valkey.url, BATON_LOG_LEVEL="WARNING")
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen(
            [*words, work],
            env=environment,
            cwd=ROOT,
            stdin=pipe,
            stdout=pipe,
            text=True,
            preexec_fn=dies_with_us(signal.SIGKILL),
        )
        for work in ("settle", "tell")
    ]
    for process in processes:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise BenchError("a worker's process did not start: its error stands above")
    for process in processes:
        if process.stdin is not None:
            process.stdin.write("go\n")
            process.stdin.flush()
    found = []
    for process in processes:
        said, _ = process.communicate(timeout=LONGEST_S)
        if process.returncode != 0:
            raise BenchError("a worker's process failed: its error stands above")
        found.append(json.loads(said))
    settled, told = found
    return {
        "settled": settled["did"],
        "settle_s": settled["seconds"],
        "told": told["did"],
        "tell_s": told["seconds"],
        "seconds": max(settled["seconds"], told["seconds"]),
        "cpu_s": settled["cpu_s"] + told["cpu_s"],
        "rss_mb": settled["rss_mb"] + told["rss_mb"],
    }


def _played(site: Site) -> int:
    """Rooms of games that are still played."""
    return int(site.query("SELECT count(*) FROM points.sessions WHERE status = 'active'"))


def _show(console: Console, found: list[dict[str, Any]]) -> None:
    table = Table()
    for heading in COLUMNS:
        table.add_column(heading, justify="right")
    for row in found:
        table.add_row(*("-" if row[key] is None else f"{row[key]:.{digits}f}" for key, digits in COLUMNS.values()))
    console.print(table)
    small, large = found[0], found[-1]
    if small is not large:
        players, seconds = large["players"] / small["players"], large["seconds"] / small["seconds"]
        console.print(f"{players:.1f} times the players took {seconds:.1f} times the time")
    if (noise := max(row["foreign_share"] for row in found)) > NOISY:
        console.print(f"other programs took {noise:.1f} cores meanwhile: no quiet machine", style="yellow")


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    typer.run(main)
