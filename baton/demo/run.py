"""Plays all games at once, shows them, and judges them."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from baton.demo.client import Api, ApiError, UnreachableError
from baton.demo.crowd import CrowdView
from baton.demo.measure import Latencies
from baton.demo.pace import demo_rules
from baton.demo.story import Story
from baton.demo.summary import Summary, as_table, summarise
from baton.demo.system import NoSystemError, data_folder, own_system, running_address
from baton.demo.team import Gate, Team
from baton.demo.view import GameView, results_table

ANIMALS = ["Otters", "Herons", "Lynxes", "Badgers", "Puffins", "Weasels", "Ospreys", "Hares", "Ravens", "Seals"]
FRAMES_PER_S = 8
LINE_EVERY_S = 5.0
NEWS_EVERY_S = 0.25


class BadRulesError(Exception):
    """`--rules` is not a JSON object."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. `url` is None where any Baton will do."""

    teams: int = 1
    skill: float = 0.9
    speed: float = 1.0
    url: str | None = None
    rules: dict[str, Any] | None = None
    max_seconds: float = 120.0
    as_json: bool = False
    plain: bool = False


def parse_rules(text: str | None) -> dict[str, Any] | None:
    """The rules as given on the command line. Raises BadRulesError."""
    if text is None:
        return None
    try:
        rules = json.loads(text)
    except ValueError as error:
        raise BadRulesError(f"--rules: {error}") from error
    if not isinstance(rules, dict):
        raise BadRulesError("--rules: not a JSON object")
    return rules


def run(options: Options) -> int:
    """Play, print, and return the exit code: 0 if all was as it should be, else 1.

    Raises NoSystemError where there is no Baton to play on.
    """
    console = Console(stderr=options.as_json)
    url = options.url or running_address(data_folder())
    if url is None:
        console.print("No Baton runs here: starting one of our own.", style="dim")
    with own_system(os.environ) if url is None else nullcontext(url) as address:
        summary = asyncio.run(_play(options, address, console))
    if options.as_json:
        sys.stdout.write(summary.as_json() + "\n")
    else:
        console.print(as_table(summary))
    return 0 if summary.ok else 1


async def _play(options: Options, url: str, console: Console) -> Summary:
    rules = demo_rules(options.skill, options.speed) | (options.rules or {})
    latencies = Latencies()
    began = time.perf_counter()
    try:
        async with Api.open(url) as api:
            teams = [
                Team(api, _team_name(number), rules, latencies, skill=options.skill, speed=options.speed)
                for number in range(options.teams)
            ]
            async with _shown(teams, latencies, options, console):
                await _run_all(teams, options.max_seconds)
    except (UnreachableError, ApiError) as error:
        raise NoSystemError(f"{url}: {error}") from error
    if len(teams) == 1 and (results := teams[0].report.results) and not options.as_json:
        console.print(results_table(teams[0].name, results))
        console.print()
    return summarise(
        [team.report for team in teams],
        latencies,
        seconds=time.perf_counter() - began,
        skill=options.skill,
        speed=options.speed,
        http_retries=api.tally.retries,
        http_refusals=api.tally.refused,
    )


async def _run_all(teams: list[Team], max_seconds: float) -> None:
    gate = Gate(len(teams))
    try:
        await asyncio.gather(*(team.run(gate, max_seconds) for team in teams))
    except asyncio.CancelledError:
        await asyncio.gather(*(team.give_up() for team in teams))
        raise


def _team_name(number: int) -> str:
    round_, animal = divmod(number, len(ANIMALS))
    return ANIMALS[animal] + (f" {round_ + 1}" if round_ else "")


@asynccontextmanager
async def _shown(teams: list[Team], latencies: Latencies, options: Options, console: Console) -> AsyncIterator[None]:
    """Show the games while they are played."""
    crowd = CrowdView(teams, latencies)
    if console.is_terminal and not options.plain and not options.as_json:
        view = GameView(teams[0]) if len(teams) == 1 else crowd
        with Live(console=console, auto_refresh=False) as live:
            drawing = asyncio.create_task(_draw(live, view))
            try:
                yield
            finally:
                drawing.cancel()
                live.update(view, refresh=True)
        return
    story = Story(teams[0].bots[0].recording)

    def tell() -> Sequence[str | Text]:
        return [crowd.line()] if len(teams) > 1 else list(story.news())

    printing = asyncio.create_task(_print_lines(tell, LINE_EVERY_S if len(teams) > 1 else NEWS_EVERY_S, console))
    try:
        yield
    finally:
        printing.cancel()
        for line in tell():
            console.print(line)


async def _draw(live: Live, view: GameView | CrowdView) -> None:
    # In this thread and not in one of rich's own, so that a frame never sees a half-made change.
    while True:
        live.update(view, refresh=True)
        await asyncio.sleep(1 / FRAMES_PER_S)


async def _print_lines(tell: Callable[[], Sequence[str | Text]], every_s: float, console: Console) -> None:
    while True:
        await asyncio.sleep(every_s)
        for line in tell():
            console.print(line)
