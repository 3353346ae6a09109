"""Games of bots without an end, so many at once, in a thread of their own. Where one has ended, the next begins."""

import asyncio
import contextlib
import random
import threading
from collections import Counter, deque
from types import TracebackType
from typing import ClassVar, Self

import httpx

from baton.demo.client import Api, Tally
from baton.demo.measure import Latencies
from baton.demo.team import Gate, Team
from tests.chaos.rules import SKILL, random_rules
from tests.chaos.world import World
from tests.e2e.edge import Edge

TRY_FOR_S = 180.0
MOST_S = 90.0
"""A game that lasts longer is ended by its host."""
ENDED_EARLY = 0.15
"""Of the games, those that their host ends in the middle."""
TICKS_EVERY_S = 2.0
BEGIN_WITHIN_S = 5.0


class Patient(Team):
    """A team that waits as long as anything can be broken."""

    connect_within_s: ClassVar[float] = 180.0
    end_within_s: ClassVar[float] = 180.0


class Season:
    """All the games. `ended` has those that are over, until somebody takes them from there."""

    def __init__(self, world: World, teams: int, speed: float, chance: random.Random) -> None:
        self._world = world
        self._slots = teams
        self._speed = speed
        self._chance = chance
        self._thread = threading.Thread(target=self._run, name="bots")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._over = False
        self._number = 0
        self.playing: set[Team] = set()
        self.ended: deque[Team] = deque()
        self.answers = 0
        self.breaks: Counter[str] = Counter()
        self.tally = Tally()
        self.trouble: BaseException | None = None

    @property
    def is_over(self) -> bool:
        """Whether the last game has ended."""
        return not self._thread.is_alive()

    @property
    def answers_so_far(self) -> int:
        return self.answers + sum(len(bot.judged) for team in list(self.playing) for bot in team.bots)

    def close(self) -> None:
        """No new games; those that are played are brought to their ends by operators' ticks."""
        self._over = True

    def phases(self) -> dict[str, list[str]]:
        """What the games that are played are doing."""
        found: dict[str, list[str]] = {}
        for team in list(self.playing):
            found.setdefault(team.phase, []).append(team.name)
        return found

    def _run(self) -> None:
        try:
            asyncio.run(self._play())
        except asyncio.CancelledError:
            return  # the run is given up, and says why
        except BaseException as error:  # noqa: BLE001 (looked at by the main thread)
            self.trouble = error

    async def _play(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        world = self._world
        async with (
            Edge(world.ports_of("points"), world.edges["points"]),
            Edge(world.ports_of("puzzle"), world.edges["puzzle"]),
            Edge(world.ports_of("realtime")) as edge,
            Api.open(edge.url, try_for_s=TRY_FOR_S) as api,
        ):
            self.tally = api.tally
            operator = asyncio.create_task(self._operate(api))
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(self._slots):
                        group.create_task(self._slot(api))
            finally:
                operator.cancel()

    async def _slot(self, api: Api) -> None:
        """One game after the other."""
        await asyncio.sleep(self._chance.uniform(0, BEGIN_WITHIN_S))
        while not self._over:
            self._number += 1
            rules = random_rules(self._chance, self._speed)
            most_s = self._chance.uniform(2.0, 15.0) if self._chance.random() < ENDED_EARLY else MOST_S
            async with contextlib.AsyncExitStack() as stack:
                team = Patient(
                    api.another(stack), f"Team {self._number}", rules, Latencies(), skill=SKILL, speed=self._speed
                )
                self.playing.add(team)
                try:
                    await team.run(Gate(1), most_s)
                finally:
                    self.playing.discard(team)
            self.answers += sum(len(bot.judged) for bot in team.bots)
            self.breaks.update(words.split(":")[0] for words in team.report.breaks)
            self.ended.append(team)

    async def _operate(self, api: Api) -> None:
        """Now and then an operator takes a tick, from one game or from all; at the end as many as it needs."""
        headers = {"X-Operator-Key": self._world.operator_key}
        async with httpx.AsyncClient(headers=headers, timeout=10, trust_env=False) as http:
            while True:
                await asyncio.sleep(TICKS_EVERY_S)
                sessions = [s.session_id for team in list(self.playing) if (s := team.bots[0].recording.state)]
                body: dict[str, object] = {"ticks": self._chance.choice([1, 1, 2, 5])}
                if self._over:
                    body = {"ticks": 100}
                elif sessions:
                    body["session_id"] = str(self._chance.choice(sessions))
                with contextlib.suppress(httpx.TransportError):
                    await http.post(f"{api.points_url}/points/decay", json=body)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread.is_alive() and self._loop is not None and self._task is not None:
            with contextlib.suppress(RuntimeError):  # it has just come to its end by itself
                self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(30)
