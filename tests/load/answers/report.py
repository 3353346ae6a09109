"""From what was measured to a table and a file."""

import json
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from rich.box import HEAVY_HEAD, MARKDOWN, Box
from rich.console import Console
from rich.table import Table

from tests.load.answers.floor import FloorRun
from tests.load.answers.measure import Outcome

PROCESSES = ("puzzle", "points", "realtime", "worker", "beat", "postgres", "valkey", "client")
NOISY = 0.2
"""Other programs that take more cores than this make all figures worse than they are."""

Row = Mapping[str, Any]


def rows(floors: Mapping[int, FloorRun], closed: Sequence[Outcome], half: Outcome) -> list[Row]:
    """A row for each run. Ratios are to the floor's best rate."""
    best = max(run.per_s for run in floors.values())
    found: list[Row] = [
        {
            "subject": "floor",
            "load": "closed",
            "clients": clients,
            "per_s": round(run.per_s, 1),
            "ratio_to_floor": round(run.per_s / best, 3),
            "p50_ms": round(run.p50_ms, 3),
            "p99_ms": round(run.p99_ms, 3),
        }
        for clients, run in floors.items()
    ]
    return found + [
        {
            "subject": "baton",
            "load": "half" if outcome is half else "closed",
            "clients": outcome.clients,
            "per_s": round(outcome.per_s, 1),
            "ratio_to_floor": round(outcome.per_s / best, 3),
            "p50_ms": outcome.p50_ms,
            "p99_ms": outcome.p99_ms,
            "p50_from_sent_ms": outcome.p50_from_sent_ms,
            "p99_from_sent_ms": outcome.p99_from_sent_ms,
            "lost": outcome.lost,
            "strays": outcome.strays,
            "gaps": outcome.gaps,
            "cpu_us": {name: round(outcome.cpu_us[name], 1) for name in PROCESSES},
            "foreign_share": round(outcome.foreign_share, 3),
        }
        for outcome in [*closed, half]
    ]


def write(path: Path, found: Sequence[Row]) -> None:
    """Leave the rows as JSON, and the tables as Markdown beside it."""
    path.write_text(json.dumps(found, indent=2) + "\n")
    console = Console(file=StringIO(), width=200, record=True)
    for table in (_rates(found, MARKDOWN), _cpu(found, MARKDOWN)):
        console.print(table)
    lines = [line.rstrip() for line in console.export_text().splitlines()]
    path.with_suffix(".md").write_text("\n".join(lines).strip() + "\n")


def show(console: Console, found: Sequence[Row]) -> None:
    """Print the tables, and what makes a figure doubtful."""
    console.print(_rates(found, HEAVY_HEAD))
    console.print("CPU for each answer, µs:", style="bold")
    console.print(_cpu(found, HEAVY_HEAD))
    for row in found:
        for fault in ("lost", "strays", "gaps"):
            if row.get(fault):
                console.print(f"{_load(row)}: {row[fault]} {fault}", style="red")
    noise = max(row.get("foreign_share", 0.0) for row in found)
    if noise > NOISY:
        console.print(f"other programs took up to {noise:.1f} cores meanwhile: no quiet machine", style="yellow")


def _load(row: Row) -> str:
    return "half load" if row["load"] == "half" else f"{row['clients']} clients"


def _rates(found: Sequence[Row], box: Box) -> Table:
    table = Table("subject", "load", box=box)
    columns = {
        "answers/s": ("per_s", 0),
        "x floor": ("ratio_to_floor", 2),
        "p50 ms": ("p50_ms", 1),
        "p99 ms": ("p99_ms", 1),
        "p50 from sent": ("p50_from_sent_ms", 1),
        "p99 from sent": ("p99_from_sent_ms", 1),
        "lost": ("lost", 0),
    }
    for heading in columns:
        table.add_column(heading, justify="right")
    for row in found:
        figures = (_figure(row.get(key), digits) for key, digits in columns.values())
        table.add_row(row["subject"], _load(row), *figures)
    return table


def _cpu(found: Sequence[Row], box: Box) -> Table:
    table = Table("load", box=box)
    for heading in (*PROCESSES, "all"):
        table.add_column(heading, justify="right")
    for row in found:
        if row["subject"] == "baton":
            used = [row["cpu_us"][name] for name in PROCESSES]
            table.add_row(_load(row), *(_figure(value, 0) for value in [*used, sum(used)]))
    return table


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
