"""All runs of the benchmark, subjects interleaved."""

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from baton.server import ServerError
from baton.servers import Valkey
from tests.load.machine import BenchError
from tests.load.measure import Outcome, Run
from tests.load.report import Repetitions
from tests.load.subjects.base import Subject
from tests.load.workloads import Workload


@dataclass(frozen=True, slots=True)
class Bench:
    """What to measure, how long, how often."""

    subjects: Sequence[Subject]
    workloads: Sequence[Workload]
    seconds: float
    repetitions: int

    def runs(self) -> list[tuple[Workload, Subject]]:
        """Every run, in order. In each repetition all subjects come one after the other."""
        return [
            (workload, subject)
            for repetition in range(self.repetitions)
            for workload in self.workloads
            for subject in self.subjects
            if repetition == 0 or not (workload.once and subject.is_peer)
        ]

    def measure(self, console: Console) -> Repetitions:
        """Do them all; one that fails is told of and left out. Raises BenchError where there is no Valkey."""
        outcomes: dict[tuple[str, str], list[Outcome | None]] = defaultdict(list)
        with _site() as (folder, valkey), _progress(console) as progress:
            runs = self.runs()
            task = progress.add_task("", total=len(runs))
            for workload, subject in runs:
                name = f"{workload.name} · {subject.name}"
                progress.update(task, description=name)
                outcome = None
                try:
                    outcome = Run(subject, workload, self.seconds, valkey, folder).measure()
                    console.print(f"{name}: {_short(outcome)}", style="dim")
                except BenchError as error:
                    console.print(f"{name}: {error}", style="red", markup=False)
                outcomes[workload.name, subject.name].append(outcome)
                progress.advance(task)
        return outcomes


def _short(outcome: Outcome) -> str:
    if outcome.connects_per_s is not None:
        return f"{outcome.connects_per_s:.0f} clients/s"
    cost = "nothing arrived" if outcome.cpu_us_per_delivery is None else f"{outcome.cpu_us_per_delivery:.2f} µs"
    return f"{cost}, {outcome.lost} lost" + ("" if outcome.p99_ms is None else f", p99 {outcome.p99_ms:.1f} ms")


@contextmanager
def _site() -> Iterator[tuple[Path, Valkey]]:
    """A folder, and a Valkey that keeps nothing on disk: what is measured is not the disk."""
    folder = Path(tempfile.mkdtemp(prefix="baton-bench-"))
    folder.chmod(0o711)  # the servers' user passes through it
    try:
        with Valkey(folder / "valkey") as valkey:
            with redis.Redis(port=valkey.port) as client:
                client.config_set("appendonly", "no")
            yield folder, valkey
    except ServerError as error:
        raise BenchError(str(error)) from error
    finally:
        shutil.rmtree(folder)


def _progress(console: Console) -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    return Progress(*columns, console=console, transient=True)
