"""What a run is to be like, what came of it, and whether it was an empty one."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.chaos.watch import kind_of
from tests.chaos.world import KINDS

LOAD = 75.0
"""Teams times speed: about what two cores bear with everything else that goes on."""
FASTEST = 4.0


@dataclass(frozen=True)
class Plan:
    """What a run is like. All of it follows from the seed but for what the machine makes of it."""

    seed: int
    seconds: float
    teams: int
    quiet_within_s: float

    @property
    def every_s(self) -> float:
        """The mean time from one fault to the next: in the shortest run each kind comes once.

        Longer ones leave the games more time: what cannot go on between two faults shows nothing.
        """
        return min(4.0, self.seconds / 28)

    @property
    def longest_pause_s(self) -> float:
        return min(60.0, self.seconds / 9)

    @property
    def longest_outage_s(self) -> float:
        """Of Valkey or Postgres."""
        return min(5.0, self.seconds / 30)

    @property
    def speed(self) -> float:
        return min(FASTEST, LOAD / self.teams)


@dataclass
class Outcome:
    """What came of a run. `broken` is empty where all held."""

    plan: Plan
    broken: list[str] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    crashes: dict[str, int] = field(default_factory=dict)
    borne: dict[str, int] = field(default_factory=dict)
    games: dict[str, int] = field(default_factory=dict)
    checked: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def empty(outcome: Outcome, *, with_clocks: bool) -> Iterator[str]:
    """What did not happen at all, so that nothing was shown of it."""
    expected: dict[str, int | None] = {
        **{f"kill -9 of {kind}": outcome.faults.get(f"kill -9 of {kind}") for kind in KINDS},
        **{
            kind: outcome.faults.get(kind)
            for kind in (
                "kill -9 of a worker's child",
                "kill -9 of valkey, data kept",
                "kill -9 of valkey, data lost",
                "valkey emptied",
                "kill -9 of postgres",
                "immediate end of postgres",
                "pause of points",
                "pause of puzzle",
            )
        },
        **{what: outcome.games[what] for what in ("games", "awards", "eliminations")},
        **{
            what: outcome.borne.get(what)
            for what in (
                "crash points reached",
                "duplicates absorbed",
                "deliveries beyond the first",
                "events sent again",
                "rooms rebuilt from Postgres",
                "requests repeated by bots",
                "sockets opened again",
                "valkey: replies lost",
                "postgres: replies lost",
            )
        },
        **{f"crash points in {kind}": _crashes_in(outcome, kind) for kind in ("puzzle", "points", "worker")},
        "games checked": outcome.checked.get("games checked"),
    }
    if with_clocks:
        expected |= {
            f"clock of a {kind} off": outcome.faults.get(f"clock of a {kind} off") for kind in ("worker", "beat")
        }
    yield from (f"an empty run: {what} is 0" for what, count in expected.items() if not count)


def _crashes_in(outcome: Outcome, kind: str) -> int:
    return sum(count for what, count in outcome.crashes.items() if kind_of(what.split()[0]) == kind)
