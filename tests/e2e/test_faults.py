"""A process of Baton dies in mid-game: no accepted answer is lost, none pays twice, no client's sequence breaks.

Each test plays games of bots over the public API, kills something with -9, starts it again, and then looks at
everything that the databases hold and every client received (invariants.py).
"""

import os
import signal
from functools import partial

import pytest

from contracts.channels import PUZZLE_EVENTS
from tests.e2e.faults import BEFORE, UNCONFIRMED, WAITING, Figures, now_ms, play_on, play_out
from tests.e2e.games import SLOW, Games
from tests.e2e.system import GATEWAYS, System, wait_for

pytestmark = [
    pytest.mark.usefixtures("bots_that_never_doze"),
    # From Python 3.12 on. What runs between fork and exec takes no lock that the bots' thread could hold.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

SENT_AGAIN = "SELECT count(*) FROM puzzle.outbox WHERE tries > 0"
OVERDUE = "SELECT count(*) FROM points.sessions WHERE due_at < extract(epoch FROM clock_timestamp()) * 1000 - 100"
TICKS = "SELECT count(*) FROM points.tick_requests"


def test_puzzle_is_killed(system: System, figures: Figures) -> None:
    with Games(system) as games:
        games.wait_for_answers(BEFORE)
        broke_at = now_ms()
        system.kill("puzzle")
        wait_for(lambda: games.retries >= WAITING, "bots miss the puzzle service")
        system.start_again("puzzle")
        play_on(system, games, broke_at, figures)


def test_points_is_killed(system: System, figures: Figures) -> None:
    with Games(system) as games:
        games.wait_for_answers(BEFORE)
        broke_at = now_ms()
        system.kill("points")
        wait_for(lambda: system.number(SENT_AGAIN) >= WAITING, "the sweeper sends again what points never confirmed")
        system.start_again("points")
        play_on(system, games, broke_at, figures)
        absorbed = system.metric("points", "baton_consumed_duplicates_total", stream=PUZZLE_EVENTS)
        figures("duplicates absorbed", absorbed)
        assert absorbed > 0


def test_points_is_killed_while_points_run_out(system: System, figures: Figures) -> None:
    """The worker lives, and must not put anybody out whose awards points has not seen: they count as of their time."""
    with Games(system) as games:
        games.wait_for_answers(BEFORE)
        games.wind_down(leaving=30)
        wait_for(lambda: system.number(TICKS) == 0, "the ticks are taken")
        broke_at = now_ms()
        system.kill("points")
        wait_for(lambda: system.number(UNCONFIRMED) >= WAITING, "answers wait for points")
        wait_for(lambda: system.number(OVERDUE) == len(games.teams), "points have run out in each team, as of now")
        system.start_again("points")
        play_out(system, games, broke_at, figures)


def test_gateways_are_killed_one_after_the_other(system: System, figures: Figures) -> None:
    """Clients come back by their `seq` to the one that is left, which the second time has itself just begun anew."""
    with Games(system) as games:
        games.wait_for_answers(BEFORE)
        broke_at = now_ms()
        for killed, left in (GATEWAYS, GATEWAYS[::-1]):
            system.wait_until_ready(left)
            cut_off = system.metric(killed, "baton_connections")
            assert cut_off > 0
            before = _recovered(system, left)
            system.kill(killed)
            due = before + cut_off
            waited = wait_for(partial(_has_recovered, system, left, due), "its clients go on at the other gateway")
            figures("sockets cut off, and seconds until all had recovered by seq", (cut_off, waited))
            system.processes[killed].start()
        play_on(system, games, broke_at, figures)
        system.wait_until_ready(*GATEWAYS)


def _recovered(system: System, gateway: str) -> float:
    """Joins by which a client was told exactly what it had missed."""
    return system.metric(gateway, "baton_recoveries_total", how="recovered")


def _has_recovered(system: System, gateway: str, joins: float) -> bool:
    return _recovered(system, gateway) >= joins


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_worker_or_beat_is_killed(system: System, name: str, figures: Figures) -> None:
    """Nobody is there to notice eliminations at their time; they are noticed later, and have their own instants."""
    # Slow, since an answer to the team lets points notice them too.
    with Games(system, speed=SLOW) as games:
        games.wait_for_answers(BEFORE)
        games.wind_down(leaving=25)
        wait_for(lambda: system.number(TICKS) == 0, "the ticks are taken")
        broke_at = now_ms()
        system.kill(name)
        wait_for(lambda: system.number(OVERDUE) > 0, "eliminations are overdue")
        system.start_again(name)
        play_out(system, games, broke_at, figures)


def test_a_child_of_the_worker_is_killed(system: System, figures: Figures) -> None:
    with Games(system) as games:
        games.wait_for_answers(BEFORE)
        before = system.pool_children()
        broke_at = now_ms()
        os.kill(min(before), signal.SIGKILL)
        wait_for(
            lambda: (now := system.pool_children()) != before and len(now) == len(before),
            "the worker replaces its child",
        )
        play_on(system, games, broke_at, figures)
