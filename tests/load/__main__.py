"""`make bench-fanout`: what a delivered message costs Baton's gateway, beside the floor and its peers."""

import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn, TypeVar

import typer
from rich.console import Console

from tests.load import report
from tests.load.bench import Bench
from tests.load.machine import BENCH, BenchError, raise_file_limit
from tests.load.peers.nchan import Nchan
from tests.load.peers.python import Channels, FastApi, PythonSocketIo
from tests.load.peers.socketio import SocketIo
from tests.load.subjects.base import Subject
from tests.load.subjects.baton import Baton
from tests.load.subjects.floor import Floor
from tests.load.tools import compile_tools
from tests.load.workloads import WORKLOADS

QUICK_SECONDS = 2.0
SUBJECTS = ("floor", "baton", "nchan", "socket.io", "fastapi", "python-socketio", "channels")

Thing = TypeVar("Thing")


def main(
    subjects: Annotated[str, typer.Option(help="Which to measure, with commas.")] = ",".join(SUBJECTS),
    workloads: Annotated[str, typer.Option(help="Which loads, with commas.")] = ",".join(WORKLOADS),
    seconds: Annotated[float, typer.Option(min=0.5, max=600, help="How long each measurement takes.")] = 3.0,
    repetitions: Annotated[int, typer.Option(min=1, max=100, help="How often; medians are reported.")] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="One repetition of 2 s: for trying things out.")] = False,
    out: Annotated[Path, typer.Option(help="The file for the figures.")] = BENCH / "fanout.json",
    apt: Annotated[bool, typer.Option("--apt", help="Download Debian's nginx and Nchan, if there are none.")] = False,
) -> None:
    """Measure, print tables, leave the figures as JSON and Markdown. Ends with code 1 if Baton or the floor failed."""
    signal.signal(signal.SIGTERM, _interrupt)
    console = Console(width=None if sys.stdout.isatty() else 132, highlight=False)
    known = {
        subject.name: subject
        for subject in (Floor(), Baton(), Nchan(download=apt), SocketIo(), FastApi(), PythonSocketIo(), Channels())
    }
    chosen = _choose("subject", subjects, known)
    loads = _choose("workload", workloads, WORKLOADS)
    if quick:
        seconds, repetitions = QUICK_SECONDS, 1
    try:
        raise_file_limit()
        compile_tools()
        present = _prepared(console, chosen)
        outcomes = Bench(present, loads, seconds, repetitions).measure(console)
    except BenchError as error:
        console.print(f"bench-fanout: {error}", style="red", markup=False)
        raise typer.Exit(1) from error
    found = report.rows(loads, present, outcomes)
    report.write(out, found)
    report.write_markdown(out.with_suffix(".md"), loads, found)
    report.show(console, loads, found)
    if any(None in outcomes[load.name, subject.name] for load in loads for subject in present if not subject.is_peer):
        raise typer.Exit(1)


def _choose(kind: str, names: str, known: Mapping[str, Thing]) -> list[Thing]:
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in known:
            raise typer.BadParameter(f"there is no {kind} {name!r}, but {', '.join(known)}")
    return [known[name] for name in wanted]


def _prepared(console: Console, subjects: Sequence[Subject]) -> list[Subject]:
    """Those of them that this machine can run."""
    present = []
    for subject in subjects:
        try:
            with console.status(f"preparing {subject.name}"):
                subject.prepare()
            present.append(subject)
        except BenchError as error:
            console.print(f"left out: {subject.name}: {error}", style="yellow", markup=False)
    return present


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    typer.run(main)
