"""Starts again what has died, arms some of it with the next crash point, and reads all that is written to the logs."""

import random
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import replace

from services.kit.crash_points import POINTS
from tests.chaos.world import World

RESTART_WITHIN_S = 1.5
ARMED = 0.3
"""Of all restarts, those with a crash point."""
HAS_POINTS = {
    "puzzle": [point for point in POINTS if not point.startswith(("told", "forgotten"))],
    "points": list(POINTS),
    "worker": [point for point in POINTS if not point.startswith(("acknowledge", "confirmed"))],
}
PASSED_OFTEN = {"puzzle": ("commit", "send"), "points": ("commit", "send", "told"), "worker": ("commit",)}
_CRASHED = re.compile(r"crash point (\S+) reached")
_BAD = re.compile(r"unexpected_error|replay_differs|dead_letter\b|configuration: ")
WORDS_OF_TROUBLE = 3000
CHILD_LOST = "Could not start worker processes"
"""With that a worker of Celery ends when a child is killed in its first moment; whoever started it does so again."""


def kind_of(name: str) -> str:
    return name.removesuffix("-2")


class Watch:
    """Looks after the processes. `broken` is what should never happen."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self._world = world
        self._chance = chance
        self._read: dict[str, int] = {}
        self._restarts: dict[str, float] = {}
        self._points: dict[str, Iterator[str]] = {kind: self._cycle(kind) for kind in HAS_POINTS}
        self._arms = True
        self.crashes: Counter[str] = Counter()
        self.restarts = 0
        self.broken: list[str] = []

    def first_crashes(self) -> dict[str, dict[str, str]]:
        """Settings by which the second of each kind dies at a crash point of its first life."""
        return {f"{kind}-2": self._crash(kind) for kind in HAS_POINTS}

    def _crash(self, kind: str) -> dict[str, str]:
        if kind not in self._points:
            return {}
        point = next(self._points[kind])
        # Each child of a worker counts for itself, and has less to tell than the services.
        often, seldom = (30, 2) if kind == "worker" else (40, 4)
        most = often if point.startswith(PASSED_OFTEN[kind]) else seldom
        return {"BATON_CRASH": f"{point}:{self._chance.randint(1, most)}"}

    def step(self) -> None:
        """Look at everything once."""
        for name, process in self._world.processes.items():
            crashed = self._read_log(name)
            if name in self._restarts:
                if time.monotonic() >= self._restarts[name]:
                    del self._restarts[name]
                    process.start()
                    self.restarts += 1
            elif crashed:
                self.bury(name)
            elif not process.runs:
                code, words = process.ended_with, process.last_words()
                if CHILD_LOST not in words:
                    self.broken.append(f"{name} ended by itself with code {code}:\n{words}")
                self.bury(name)

    def bury(self, name: str, *, arm: bool = False) -> None:
        """Kill what is left of a process, and start it again soon; with `arm`, so that it dies at a crash point."""
        self._world.count(name)
        process = self._world.processes[name]
        process.kill()
        self._world.forget(name)
        environment = {key: value for key, value in process.command.environment.items() if key != "BATON_CRASH"}
        if self._arms and (arm or self._chance.random() < ARMED):
            environment |= self._crash(kind_of(name))
        process.command = replace(process.command, environment=environment)
        self._restarts.setdefault(name, time.monotonic() + self._chance.uniform(0.1, RESTART_WITHIN_S))

    @property
    def is_busy(self) -> bool:
        """Whether anything is yet to be started again."""
        return bool(self._restarts)

    def crashes_in(self, kind: str) -> int:
        """How many crash points were reached in processes of that kind."""
        return sum(count for what, count in self.crashes.items() if what.startswith(f"{kind} "))

    def is_down(self, name: str) -> bool:
        return name in self._restarts

    def calm(self, also: Callable[[str], None]) -> None:
        """From now on nothing is armed; what is, begins anew without. `also` is told each process that stays."""
        self._arms = False
        for name, process in self._world.processes.items():
            if "BATON_CRASH" in process.command.environment:
                self.bury(name)
            else:
                also(name)

    def _cycle(self, kind: str) -> Iterator[str]:
        waiting: deque[str] = deque()
        while True:
            if not waiting:
                waiting.extend(self._chance.sample(sorted(HAS_POINTS[kind]), len(HAS_POINTS[kind])))
            yield waiting.popleft()

    def _read_log(self, name: str) -> bool:
        """Whether it wrote that it has reached its crash point. Whatever else is worth knowing is noted."""
        process = self._world.processes[name]
        with process.log_file.open("rb") as log:
            log.seek(self._read.get(name, 0))
            data = log.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read[name] = self._read.get(name, 0) + len(whole)
        text = whole.decode(errors="replace")
        if bad := _BAD.search(text):
            self.broken.append(f"{name} wrote:\n{text[bad.start() : bad.start() + WORDS_OF_TROUBLE]}")
        points = _CRASHED.findall(text)
        self.crashes.update(f"{kind_of(name)} {point}" for point in points)
        return bool(points)
