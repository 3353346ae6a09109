"""From the outcomes of all repetitions to the table and the file."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.load.measure import Outcome
from tests.load.subjects.base import Subject
from tests.load.workloads import Workload

FLOOR = "floor"

Repetitions = Mapping[tuple[str, str], Sequence[Outcome | None]]
"""The outcomes by workload and subject, in the order of the repetitions; None where one failed."""


def rows(workloads: Sequence[Workload], subjects: Sequence[Subject], outcomes: Repetitions) -> list[dict[str, Any]]:
    """A row for each workload and subject that was measured: medians over the repetitions."""
    return [
        _row(workload, subject, outcomes[workload.name, subject.name], outcomes.get((workload.name, FLOOR), ()))
        for workload in workloads
        for subject in subjects
        if any(
            (workload.name, subject.name) in outcomes and outcome for outcome in outcomes[workload.name, subject.name]
        )
    ]


def _row(
    workload: Workload, subject: Subject, outcomes: Sequence[Outcome | None], floors: Sequence[Outcome | None]
) -> dict[str, Any]:
    done = [outcome for outcome in outcomes if outcome is not None]
    ratios = [
        outcome.cpu_us_per_delivery / floor.cpu_us_per_delivery
        for outcome, floor in zip(outcomes, floors, strict=False)
        if outcome is not None and floor is not None
    ]

    def middle(of: Callable[[Outcome], float | None]) -> float | None:
        values = [value for value in map(of, done) if value is not None]
        return round(median(values), 3) if values else None

    return {
        "workload": workload.name,
        "subject": subject.name,
        "rate": subject.rate(workload),
        "repetitions": len(done),
        "cpu_us_per_delivery": middle(lambda outcome: outcome.cpu_us_per_delivery),
        "ratio_to_floor": round(median(ratios), 3) if ratios else None,
        "delivered": sum(outcome.delivered for outcome in done),
        "lost": sum(outcome.lost for outcome in done),
        "doubled": sum(outcome.doubled for outcome in done),
        "p50_ms": middle(lambda outcome: outcome.p50_ms),
        "p99_ms": middle(lambda outcome: outcome.p99_ms),
        "p999_ms": middle(lambda outcome: outcome.p999_ms),
        "kb_per_connection": middle(lambda outcome: outcome.kb_per_connection),
        "connects_per_s": middle(lambda outcome: outcome.connects_per_s),
    }


def write(path: Path, found: Sequence[Mapping[str, Any]]) -> None:
    """Leave the rows as JSON."""
    path.write_text(json.dumps(found, indent=2) + "\n")


def show(console: Console, workloads: Sequence[Workload], found: Sequence[Mapping[str, Any]]) -> None:
    """Print a table for each workload."""
    for workload in workloads:
        table = Table(title=workload.title, title_justify="left")
        table.add_column("subject")
        for heading in (
            "msg/s",
            "µs CPU/delivery",
            "x floor",
            "delivered",
            "lost",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "KB/conn",
        ):
            table.add_column(heading, justify="right")
        for row in found:
            if row["workload"] == workload.name:
                table.add_row(
                    row["subject"],
                    str(row["rate"]),
                    _figure(row["cpu_us_per_delivery"], 2),
                    _figure(row["ratio_to_floor"], 2),
                    str(row["delivered"]),
                    str(row["lost"]),
                    _figure(row["p50_ms"], 2),
                    _figure(row["p99_ms"], 2),
                    _figure(row["p999_ms"], 2),
                    _figure(row["kb_per_connection"], 1),
                )
        console.print(table)


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
