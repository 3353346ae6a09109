"""What goes wrong: from a seed, at random moments, side by side, each kind before any comes again."""

import heapq
import os
import random
import signal
import time
from collections import Counter, deque
from collections.abc import Callable
from itertools import count

from baton.orphans import signal_group
from tests.chaos.watch import HAS_POINTS, Watch
from tests.chaos.world import KINDS, World

CLOCK_OFF_S = (-600, -120, -45, 45, 120, 3600)
PATIENCE = 4.0
VALKEY_LOSES, POSTGRES_LOSES = 0.02, 0.005
"""Parts of the replies that do not arrive, while any are lost."""


class Faults:
    """Applies what is due whenever it is asked to.

    `has_gone_on` tells whether the games have gone on since the last fault. Where they have not, on a slow machine
    or a busy one, the next one waits, up to `PATIENCE` times as long.
    `longest_pause_s` is for how long a process is stopped at most, `longest_outage_s` for how long a server is away.
    """

    def __init__(
        self,
        world: World,
        watch: Watch,
        chance: random.Random,
        *,
        has_gone_on: Callable[[], bool],
        every_s: float,
        longest_pause_s: float,
        longest_outage_s: float,
    ) -> None:
        self._world = world
        self._watch = watch
        self._chance = chance
        self._has_gone_on = has_gone_on
        self._every_s = every_s
        self._longest_pause_s = longest_pause_s
        self._longest_outage_s = longest_outage_s
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._paused: set[str] = set()
        self._waiting: deque[str] = deque()
        self._next_at = self._latest_at = 0.0
        self._kinds = self._all_kinds()
        self.counts: Counter[str] = Counter()

    def step(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        self._catch_up(now)
        if now < self._next_at or (now < self._latest_at and not self._has_gone_on()):
            return
        gap = self._every_s * self._chance.uniform(0.5, 1.5)
        self._next_at, self._latest_at = now + gap, now + gap * PATIENCE
        if not self._waiting:
            self._waiting.extend(self._chance.sample(list(self._kinds), len(self._kinds)))
        kind = self._waiting.popleft()
        if self._kinds[kind]():
            self.counts[kind] += 1
        else:
            self._waiting.append(kind)  # it cannot be done at this moment

    @property
    def all_came(self) -> bool:
        """Whether each kind has come at least once."""
        return all(self.counts[kind] for kind in self._kinds)

    def mend(self) -> None:
        """Undo everything, and do nothing any more but what was begun."""
        self._world.tell_network("calm")
        self._catch_up(float("inf"))
        self._watch.calm(lambda name: None)

    def is_away(self, name: str) -> bool:
        """Whether it is down or paused."""
        return self._watch.is_down(name) or name in self._paused

    def _all_kinds(self) -> dict[str, Callable[[], bool]]:
        kinds: dict[str, Callable[[], bool]] = {}
        for kind in KINDS:
            kinds[f"kill -9 of {kind}"] = lambda kind=kind: self._kill(kind)  # type: ignore[misc]  # no lambda defaults in mypy
            kinds[f"pause of {kind}"] = lambda kind=kind: self._pause(kind)  # type: ignore[misc]
        for kind in HAS_POINTS:
            kinds[f"crash point in {kind}"] = lambda kind=kind: self._kill(kind, arm=True)  # type: ignore[misc]
        kinds |= {
            "kill -9 of a worker's child": self._kill_child,
            "kill -9 of valkey, data kept": self._kill_valkey,
            "kill -9 of valkey, data lost": lambda: self._kill_valkey(lose=True),
            "valkey emptied": self._flush,
            "kill -9 of postgres": self._kill_postgres,
            "immediate end of postgres": lambda: self._kill_postgres(signal.SIGQUIT),
            "replies of valkey lost": lambda: self._lose("valkey", VALKEY_LOSES),
            "replies of postgres lost": lambda: self._lose("postgres", POSTGRES_LOSES),
        }
        if self._world.faketime is not None:
            kinds["clock of a worker off"] = lambda: self._clock("worker")
            kinds["clock of a beat off"] = lambda: self._clock("beat")
        return kinds

    def _catch_up(self, until: float) -> None:
        while self._later and self._later[0][0] <= until:
            heapq.heappop(self._later)[2]()

    def _in(self, seconds: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._later, (time.monotonic() + seconds, next(self._numbers), what))

    def _one_up(self, kind: str) -> str | None:
        """A process of that kind that runs and is not paused."""
        up = [name for name in self._world.copies(kind) if not self.is_away(name)]
        return self._chance.choice(up) if up else None

    def _kill(self, kind: str, *, arm: bool = False) -> bool:
        if (name := self._one_up(kind)) is None:
            return False
        self._watch.bury(name, arm=arm)
        return True

    def _kill_child(self) -> bool:
        name = self._one_up("worker")
        children = [] if name is None else self._world.children(name)
        if children:
            os.kill(self._chance.choice(children), signal.SIGKILL)
        return bool(children)

    def _pause(self, kind: str) -> bool:
        if (name := self._one_up(kind)) is None or not self._world.processes[name].runs:
            return False
        pid = self._world.processes[name].pid
        signal_group(pid, signal.SIGSTOP)
        self._paused.add(name)

        def go_on() -> None:
            self._paused.discard(name)
            signal_group(pid, signal.SIGCONT)  # it may have come by a crash point before it stood still

        self._in(self._chance.uniform(0.5, 1.0) * self._longest_pause_s, go_on)
        return True

    def _kill_valkey(self, *, lose: bool = False) -> bool:
        if self._world.valkey.pid is None:
            return False
        self._world.valkey.kill()

        def start() -> None:
            if lose:
                self._world.valkey.wipe()
            self._world.valkey.start()

        self._in(self._chance.uniform(0.1, self._longest_outage_s), start)
        return True

    def _flush(self) -> bool:
        if self._world.valkey.pid is None:
            return False
        self._world.valkey.flush()
        return True

    def _kill_postgres(self, number: signal.Signals = signal.SIGKILL) -> bool:
        pid = self._world.postgres.pid
        if pid is None:
            return False
        if number is not signal.SIGKILL:
            os.kill(pid, number)
            time.sleep(0.1)
        self._world.postgres.kill()
        self._in(self._chance.uniform(0.1, self._longest_outage_s), self._world.postgres.start)
        return True

    def _lose(self, server: str, part: float) -> bool:
        self._world.tell_network(server, part)
        self._in(self._chance.uniform(2.0, 6.0), lambda: self._world.tell_network(server, 0))
        return True

    def _clock(self, kind: str) -> bool:
        if (name := self._one_up(kind)) is None:
            return False
        self._world.set_clock(name, self._chance.choice(CLOCK_OFF_S))
        self._in(self._chance.uniform(3.0, 10.0), lambda: self._world.set_clock(name, 0))
        return True
