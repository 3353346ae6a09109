"""One run: a time in which everything breaks, a time in which it becomes quiet, and a look at everything."""

import time
from collections.abc import Callable
from pathlib import Path

import psycopg
from redis.exceptions import RedisError

from tests.chaos.check import Checks
from tests.chaos.faults import Faults
from tests.chaos.outcome import Outcome, Plan, empty
from tests.chaos.season import Season
from tests.chaos.watch import HAS_POINTS, Watch
from tests.chaos.world import KINDS, World, chance_of

POLL_S = 0.05
LONGER = 4.0
GONE_ON = 5
COUNT_EVERY_S = 3.0
CHECK_EVERY_S = 0.5
SAY_EVERY_S = 5.0
WARM_UP_S, WARM = 20.0, 20
"""Nothing breaks before so many answers were accepted, or that time has passed."""


def run(plan: Plan, folder: Path, say: Callable[[str], None]) -> Outcome:
    """Do it all. Raises AssertionError or ServerError where the system does not even start."""
    outcome, began = Outcome(plan), time.monotonic()
    with World(folder, plan.seed) as world:
        watch = Watch(world, chance_of(plan.seed, "restarts"))
        world.start(watch.first_crashes())
        outcome.seconds["until the system was ready"] = time.monotonic() - began
        with Season(world, plan.teams, plan.speed, chance_of(plan.seed, "games")) as season:
            _Run(world, season, watch, outcome, say).through()
    return outcome


class _Run:
    def __init__(
        self, world: World, season: Season, watch: Watch, outcome: Outcome, say: Callable[[str], None]
    ) -> None:
        self._world, self._season, self._watch, self._outcome, self._say = world, season, watch, outcome, say
        self._plan = plan = outcome.plan
        self._faults = Faults(
            world,
            watch,
            chance_of(plan.seed, "faults"),
            has_gone_on=self._has_gone_on,
            every_s=plan.every_s,
            longest_pause_s=plan.longest_pause_s,
            longest_outage_s=plan.longest_outage_s,
        )
        self._checks = Checks(world, season)
        self._began = time.monotonic()
        self._answers = 0
        self._said_at = self._counted_at = self._checked_at = 0.0

    def through(self) -> None:
        while time.monotonic() < self._began + WARM_UP_S and self._season.answers_so_far < WARM:
            self._step()
        self._outcome.seconds["until the games were on"] = time.monotonic() - self._began
        self._began = time.monotonic()
        while (self._lasted < self._plan.seconds or not self._is_enough) and self._season.trouble is None:
            self._faults.step()
            self._step()
        self._outcome.seconds["of chaos"] = time.monotonic() - self._began
        self._faults.mend()
        self._season.close()
        self._become_quiet()
        self._look_at_everything()

    @property
    def _lasted(self) -> float:
        return time.monotonic() - self._began

    @property
    def _is_enough(self) -> bool:
        """Whether each fault has come, and each kind of process died at a point. Slow machines get more time for it."""
        happened = self._faults.all_came and all(map(self._watch.crashes_in, HAS_POINTS))
        return happened or self._lasted > self._plan.seconds * LONGER

    def _has_gone_on(self) -> bool:
        """Whether some answers were accepted since the last time that the answer was yes."""
        if self._season.answers_so_far < self._answers + GONE_ON:
            return False
        self._answers = self._season.answers_so_far
        return True

    def _step(self) -> None:
        """What is done all the time."""
        self._watch.step()
        now = time.monotonic()
        if now > self._counted_at + COUNT_EVERY_S:
            self._counted_at = now
            for kind in KINDS:
                for name in self._world.copies(kind):
                    if not self._faults.is_away(name):
                        self._world.count(name)
        if now > self._said_at + SAY_EVERY_S:
            self._said_at = now
            self._say(self._progress())
        if now > self._checked_at + CHECK_EVERY_S:
            self._checked_at = now
            self._checks.step()
        time.sleep(POLL_S)

    def _progress(self) -> str:
        season, checks = self._season, self._checks
        return " · ".join(
            [
                f"{self._lasted:4.0f} s",
                f"games: {len(season.playing)} on, {len(checks.waiting)} to be settled, "
                f"{checks.done['games checked']} checked",
                f"{season.answers_so_far} answers",
                f"{self._faults.counts.total()} faults",
                f"{self._watch.crashes.total()} crash points",
                f"{season.tally.retries} requests repeated",
                *([f"BROKEN: {len(checks.broken) + len(self._watch.broken)}"] if checks.broken else []),
            ]
        )

    def _become_quiet(self) -> None:
        """Until all games have ended and nothing is on its way, or the time for it is up."""
        began = time.monotonic()
        while time.monotonic() < began + self._plan.quiet_within_s:
            self._step()
            if self._season.is_over and not self._watch.is_busy and self._checks.is_done and not self._left_over():
                break
        else:
            late = f"not quiet within {self._plan.quiet_within_s:.0f} s: {self._left_over()}, {self._season.phases()}"
            self._outcome.broken.append(late)
        self._outcome.seconds["until it was quiet"] = time.monotonic() - began

    def _left_over(self) -> dict[str, int]:
        try:
            return self._checks.left_over()
        except (psycopg.OperationalError, RedisError) as error:
            return {f"{error}": 1}

    def _look_at_everything(self) -> None:
        world, outcome = self._world, self._outcome
        for kind in KINDS:
            for name in world.copies(kind):
                world.count(name)
        if self._season.trouble is not None:
            outcome.broken.append(f"the bots failed: {self._season.trouble!r}")
        outcome.broken += [*self._watch.broken, *self._checks.broken, *self._checks.everything()]
        outcome.faults, outcome.crashes = dict(self._faults.counts), dict(self._watch.crashes)
        outcome.games = self._checks.outcomes()
        outcome.checked = dict(self._checks.done)
        outcome.borne = {
            **world.network_counts(),
            **world.counts(),
            "crash points reached": self._watch.crashes.total(),
            "processes started again": self._watch.restarts,
            "requests repeated by bots": self._season.tally.retries,
            "sockets opened again": self._season.breaks.total(),
        }
        outcome.broken += empty(outcome, with_clocks=world.faketime is not None)
