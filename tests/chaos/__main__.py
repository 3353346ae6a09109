"""`make chaos`: fifty games at once while everything breaks, and then a look at all that anybody stored or saw."""

import random
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from baton.plan import ROOT
from tests.chaos import report
from tests.chaos.outcome import Plan
from tests.chaos.run import run

QUIET_WITHIN_S = 150.0


def main(
    minutes: Annotated[float, typer.Option(min=0.1, max=1440, help="How long everything breaks.")] = 2.0,
    seed: Annotated[
        int | None, typer.Option(help="What happens follows from it; by default, another each time.")
    ] = None,
    teams: Annotated[int, typer.Option(min=1, max=500, help="How many games at once.")] = 50,
    out: Annotated[Path, typer.Option(help="The folder for the report.")] = ROOT / "build" / "chaos",
    keep: Annotated[bool, typer.Option("--keep", help="Leave the logs and the data where they are.")] = False,
) -> None:
    """Ends with code 1 if anything does not hold, or if too little happened to tell."""
    console = Console(highlight=False)
    plan = Plan(random.randrange(10**6) if seed is None else seed, minutes * 60, teams, QUIET_WITHIN_S)
    console.print(f"seed {plan.seed}: {report.command(plan)}")
    folder = Path(tempfile.mkdtemp(prefix="baton-chaos-"))
    folder.chmod(0o711)
    outcome = None
    try:
        outcome = run(plan, folder / "system", lambda line: console.print(line, soft_wrap=True))
    finally:
        if keep or outcome is None or outcome.broken:
            console.print(f"logs and data: {folder}")
        else:
            shutil.rmtree(folder)
    report.write(outcome, out)
    console.print(report.table(outcome))
    for words in outcome.broken:
        console.print(f"BROKEN: {words}", markup=False)
    if outcome.broken:
        console.print(f"{len(outcome.broken)} things broke. To repeat it: {report.command(plan)}")
        raise typer.Exit(1)
    console.print("all invariants held")


if __name__ == "__main__":
    typer.run(main)
