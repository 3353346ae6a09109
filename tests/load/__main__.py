"""`make bench-fanout`: what a delivered message costs Baton's gateway, beside the floor and its peers."""

import shutil
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from baton.servers import Valkey
from tests.load import report
from tests.load.machine import BENCH, BenchError, raise_file_limit
from tests.load.measure import Outcome, run
from tests.load.subjects.base import Subject
from tests.load.subjects.baton import Baton
from tests.load.subjects.floor import Floor
from tests.load.tools import compile_tools
from tests.load.workloads import WORKLOADS

SUBJECTS: dict[str, Subject] = {subject.name: subject for subject in (Floor(), Baton())}


def main(
    subjects: Annotated[str, typer.Option(help="Which, with commas.")] = ",".join(SUBJECTS),
    workloads: Annotated[str, typer.Option(help="Which, with commas.")] = ",".join(WORKLOADS),
    seconds: Annotated[float, typer.Option(min=0.5, help="How long each measurement takes.")] = 4.0,
    repetitions: Annotated[int, typer.Option(min=1)] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="One repetition of 2 s: for trying things out.")] = False,
) -> None:
    """Measure, print a table, write build/bench/fanout.json."""
    if quick:
        seconds, repetitions = 2.0, 1
    console = Console(width=None if sys.stdout.isatty() else 130)
    chosen = [SUBJECTS[name] for name in subjects.split(",")]
    loads = [WORKLOADS[name] for name in workloads.split(",")]
    raise_file_limit()
    outcomes: dict[tuple[str, str], list[Outcome | None]] = defaultdict(list)
    folder = Path(tempfile.mkdtemp(prefix="baton-bench-"))
    folder.chmod(0o711)
    try:
        compile_tools()
        with Valkey(folder / "valkey") as valkey, Progress(console=console) as progress:
            task = progress.add_task("", total=repetitions * len(loads) * len(chosen))
            for repetition in range(repetitions):
                for load in loads:
                    for subject in chosen:
                        progress.update(task, description=f"{load.name} · {subject.name} · {repetition + 1}")
                        try:
                            outcome = run(subject, load, seconds, valkey, folder)
                            console.print(load.name, subject.name, outcome)
                        except BenchError as error:
                            console.print(f"{load.name} · {subject.name}: {error}")
                            outcome = None
                        outcomes[load.name, subject.name].append(outcome)
                        progress.advance(task)
    finally:
        shutil.rmtree(folder)
    found = report.rows(loads, chosen, outcomes)
    report.write(BENCH / "fanout.json", found)
    report.show(console, loads, found)


if __name__ == "__main__":
    typer.run(main)
