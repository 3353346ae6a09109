"""From the outcomes of all repetitions to a table and a file."""

import json
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from statistics import median
from typing import Any

from rich.box import HEAVY_HEAD, MARKDOWN, Box
from rich.console import Console
from rich.table import Table

from tests.load.measure import Outcome
from tests.load.subjects.base import Subject
from tests.load.workloads import Workload

FLOOR = "floor"
BUSY = 0.8
"""A load client that takes more of its core may have delayed what it measured."""
NOISY = 0.2
"""Other programs that take more cores than this make all figures worse than they are, and not evenly."""

Row = Mapping[str, Any]
Repetitions = Mapping[tuple[str, str], Sequence[Outcome | None]]
"""The outcomes by workload and subject, in the order of the repetitions; None where one failed."""

LOAD_COLUMNS = {
    "msg/s": ("rate", 0),
    "µs CPU/delivery": ("cpu_us_per_delivery", 2),
    "x floor": ("ratio_to_floor", 2),
    "least": ("ratio_min", 2),
    "most": ("ratio_max", 2),
    "delivered": ("delivered", 0),
    "lost": ("lost", 0),
    "p50 ms": ("p50_ms", 2),
    "p99 ms": ("p99_ms", 2),
    "p99.9 ms": ("p999_ms", 2),
}
MEMORY_COLUMNS = {"KB/client": ("kb_per_connection", 1)}
STORM_COLUMNS = {
    "clients/s": ("connects_per_s", 0),
    "µs CPU/client": ("cpu_us_per_connect", 0),
    "p50 ms": ("p50_ms", 0),
    "p99 ms": ("p99_ms", 0),
}


def rows(workloads: Sequence[Workload], subjects: Sequence[Subject], outcomes: Repetitions) -> list[dict[str, Any]]:
    """A row for each workload and subject that was measured: sums of what was counted, medians of the rest."""
    return [
        _row(workload, subject, outcomes[key], outcomes.get((workload.name, FLOOR), ()))
        for workload in workloads
        for subject in subjects
        if any(outcomes.get(key := (workload.name, subject.name), ()))
    ]


def _row(
    workload: Workload, subject: Subject, outcomes: Sequence[Outcome | None], floors: Sequence[Outcome | None]
) -> dict[str, Any]:
    done = [outcome for outcome in outcomes if outcome is not None]

    def middle(of: Callable[[Outcome], float | None]) -> float | None:
        return _median([value for value in map(of, done) if value is not None])

    ratios = [
        outcome.cpu_us_per_delivery / floor.cpu_us_per_delivery
        for outcome, floor in zip(outcomes, floors, strict=False)
        if outcome and floor and outcome.cpu_us_per_delivery and floor.cpu_us_per_delivery
    ]
    return {
        "workload": workload.name,
        "subject": subject.name,
        "rate": subject.rate(workload),
        "repetitions": len(done),
        "cpu_us_per_delivery": middle(lambda outcome: outcome.cpu_us_per_delivery),
        "ratio_to_floor": _median(ratios),
        "ratio_min": round(min(ratios), 3) if ratios else None,
        "ratio_max": round(max(ratios), 3) if ratios else None,
        "delivered": sum(outcome.delivered for outcome in done),
        "lost": sum(outcome.lost for outcome in done),
        "doubled": sum(outcome.doubled for outcome in done),
        "closed": sum(outcome.closed for outcome in done),
        "sent_back": sum(outcome.sent_back for outcome in done),
        "p50_ms": middle(lambda outcome: outcome.p50_ms),
        "p99_ms": middle(lambda outcome: outcome.p99_ms),
        "p999_ms": middle(lambda outcome: outcome.p999_ms),
        "kb_per_connection": middle(lambda outcome: outcome.kb_per_connection),
        "connects_per_s": middle(lambda outcome: outcome.connects_per_s),
        "cpu_us_per_connect": middle(lambda outcome: outcome.cpu_us_per_connect),
        "publisher_late_ms": middle(lambda outcome: outcome.publisher_late_ms),
        "client_share": middle(lambda outcome: outcome.client_share),
        "foreign_share": middle(lambda outcome: outcome.foreign_share),
    }


def _median(values: Sequence[float]) -> float | None:
    return round(median(values), 3) if values else None


def write(path: Path, found: Sequence[Row]) -> None:
    """Leave the rows as JSON."""
    path.write_text(json.dumps(found, indent=2) + "\n")


def write_markdown(path: Path, workloads: Sequence[Workload], found: Sequence[Row]) -> None:
    """Leave the tables as Markdown, for docs/performance.md."""
    console = Console(file=StringIO(), width=200, record=True)
    for workload in workloads:
        console.print(f"**{workload.name}**: {workload.title}", markup=False, highlight=False)
        console.print(_table(workload, found, MARKDOWN))
    lines = [line.rstrip() for line in console.export_text().splitlines()]
    path.write_text("\n".join(lines).rstrip() + "\n")


def show(console: Console, workloads: Sequence[Workload], found: Sequence[Row]) -> None:
    """Print a table for each workload, and what makes a figure doubtful."""
    for workload in workloads:
        console.print(f"\n{workload.name}: {workload.title}", style="bold", markup=False)
        console.print(_table(workload, found, HEAVY_HEAD))
    for row in found:
        for doubt in _doubts(row):
            console.print(f"{row['workload']}, {row['subject']}: {doubt}", style="yellow")

    noise = max((row["foreign_share"] for row in found), default=0.0)
    if noise > NOISY:
        console.print(f"other programs took up to {noise:.1f} cores meanwhile: no quiet machine", style="yellow")


def _table(workload: Workload, found: Sequence[Row], box: Box) -> Table:
    columns = STORM_COLUMNS if not workload.rate else LOAD_COLUMNS | (MEMORY_COLUMNS if workload.idle_rooms else {})
    table = Table("subject", box=box)
    for heading in columns:
        table.add_column(heading, justify="right")
    for row in found:
        if row["workload"] == workload.name:
            table.add_row(row["subject"], *(_figure(row[key], digits) for key, digits in columns.values()))
    return table


def _doubts(row: Row) -> list[str]:
    doubts = []
    if row["doubled"]:
        doubts.append(f"{row['doubled']} messages came twice or out of order")
    if row["closed"]:
        doubts.append(f"{row['closed']} clients were cut off")
    if row["sent_back"]:
        doubts.append(f"clients were asked {row['sent_back']} times to come back later")
    if row["client_share"] > BUSY:
        doubts.append("the load client itself was busy: latencies are its own in part")
    return doubts


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
