"""What came of a run: as a table, as Markdown, as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from tests.chaos.outcome import Outcome, Plan


def command(plan: Plan) -> str:
    """What repeats the run."""
    return f"make chaos SEED={plan.seed} MINUTES={plan.seconds / 60:g} TEAMS={plan.teams}"


def sections(outcome: Outcome) -> dict[str, Mapping[str, object]]:
    """All figures under their headings."""
    return {
        "Faults": dict(sorted(outcome.faults.items())),
        "Crash points reached": dict(sorted(outcome.crashes.items())),
        "What the system bore": dict(sorted(outcome.borne.items())),
        "What the games came to": outcome.games,
        "What was checked": outcome.checked,
        "Seconds": {what: round(seconds, 1) for what, seconds in outcome.seconds.items()},
    }


def table(outcome: Outcome) -> Table:
    """For the terminal."""
    found = Table(title=f"make chaos, seed {outcome.plan.seed}", title_justify="left")
    found.add_column("")
    found.add_column("", justify="right")
    for title, figures in sections(outcome).items():
        found.add_section()
        found.add_row(f"[bold]{title}[/bold]", "")
        for what, figure in figures.items():
            found.add_row(f"  {what}", str(figure))
    return found


def markdown(outcome: Outcome) -> str:
    """For docs/."""
    plan = outcome.plan
    lines = [
        "# A run of `make chaos`",
        "",
        f"`{command(plan)}`: {plan.teams} games at once, {plan.seconds:.0f} s of faults.",
        "",
        f"**{'All invariants held.' if not outcome.broken else f'{len(outcome.broken)} things broke.'}**",
        "",
    ]
    lines += [f"- {words}" for words in outcome.broken]
    for title, figures in sections(outcome).items():
        lines += ["", f"## {title}", "", "| | |", "|---|---:|", *(f"| {what} | {n} |" for what, n in figures.items())]
    return "\n".join(lines) + "\n"


def write(outcome: Outcome, folder: Path) -> None:
    """Leave report.md and report.json in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(markdown(outcome))
    everything = {"command": command(outcome.plan), "passed": not outcome.broken, **asdict(outcome)}
    (folder / "report.json").write_text(json.dumps(everything, indent=2) + "\n")
