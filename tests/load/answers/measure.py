"""Players who answer, through the whole chain, and what came of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.load.answers.stage import Stage
from tests.load.answers.teams import playing, write
from tests.load.commanded import Commanded, commanded
from tests.load.machine import BENCH, BenchError, foreign_cpu_s

WARM_UP_S = 1.5
DRAIN_S = 30.0
OPEN_WITHIN_S = 60.0
CLIENT = "client"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one run gave. Latencies in milliseconds; CPU in microseconds for each answer, by process."""

    clients: int | None
    """None where answers come at a given rate, whoever gives them."""
    per_s: float
    lost: int
    """Accepted answers of which not every socket of the team heard."""
    strays: int
    """Awards that a socket heard of twice, or that nobody has earned."""
    gaps: int
    p50_ms: float | None
    p99_ms: float | None
    """From the accepting response to the last socket."""
    p50_from_sent_ms: float | None
    p99_from_sent_ms: float | None
    """From the request, or from when it was due."""
    cpu_us: Mapping[str, float]
    foreign_share: float
    """CPU of everything else on the machine meanwhile, in cores."""


async def closed_loop(stage: Stage, clients: int, seconds: float) -> Outcome:
    """So many clients, each of which answers when the award for its last answer has reached the whole team."""
    async with _players(stage, clients) as load:
        return await asyncio.to_thread(_measure, stage, load, "closed", clients, seconds)


async def paced(stage: Stage, rate: int, teams: int, seconds: float) -> Outcome:
    """So many answers a second, whether those before have arrived or not."""
    async with _players(stage, teams) as load:
        return await asyncio.to_thread(_measure, stage, load, "paced", rate, seconds)


@asynccontextmanager
async def _players(stage: Stage, teams: int) -> AsyncIterator[Commanded]:
    plan, log = stage.folder / "players", stage.folder / "answerer.log"
    async with playing(stage.plan.address, teams) as games:
        write(plan, games)
        words = [BENCH / "answerer", stage.plan.realtime_port, stage.plan.puzzle_port, plan]
        with commanded(Commanded, list(map(str, words)), log) as load:
            await asyncio.to_thread(load.ask, "open", OPEN_WITHIN_S)
            yield load


def _measure(stage: Stage, load: Commanded, how: str, number: int, seconds: float) -> Outcome:
    begin = time.monotonic() + WARM_UP_S
    until = begin + seconds
    load.say(f"{how} {number} {begin * 1e6:.0f} {until * 1e6:.0f}")
    used, foreign_share = _used(stage, begin, until)
    counted = load.hear(within=DRAIN_S)
    if not counted["done"]:
        raise BenchError("no answer came through")
    cpu = {name: spent / counted["done"] for name, spent in used.items()}
    cpu[CLIENT] = counted["client_cpu_us"] * seconds / (seconds + WARM_UP_S) / counted["done"]
    return Outcome(
        clients=number if how == "closed" else None,
        per_s=counted["done"] / seconds,
        lost=counted["lost"],
        strays=counted["strays"],
        gaps=counted["gaps"],
        p50_ms=counted["p50_accepted_ms"],
        p99_ms=counted["p99_accepted_ms"],
        p50_from_sent_ms=counted["p50_sent_ms"],
        p99_from_sent_ms=counted["p99_sent_ms"],
        cpu_us=cpu,
        foreign_share=foreign_share,
    )


def _used(stage: Stage, begin: float, until: float) -> tuple[dict[str, float], float]:
    """CPU between the two instants: of each process in microseconds, of all that is not ours in cores."""
    time.sleep(max(0.0, begin - time.monotonic()))
    before, foreign = stage.cpu_us(), foreign_cpu_s()
    time.sleep(max(0.0, until - time.monotonic()))
    used = {name: spent - before[name] for name, spent in stage.cpu_us().items()}
    return used, (foreign_cpu_s() - foreign) / (until - begin)
