"""One thing breaks in mid-game: no accepted answer is lost, none pays twice, and no client's sequence breaks.

Each test plays games of bots over the public API, breaks one thing, mends it, and then looks at everything that the
databases hold and every client received (invariants.py).
"""

import os
import signal
import time

import pytest

from baton.demo import pace
from contracts.channels import PUZZLE_EVENTS
from tests.e2e import invariants
from tests.e2e.games import Games
from tests.e2e.system import System, wait_for

BEFORE, AFTER = 8, 6
"""Answers of each team before and after the fault."""
DRAINED_WITHIN_S = 20.0
UNCONFIRMED = "SELECT count(*) FROM puzzle.outbox"
RESENT = "SELECT count(*) FROM puzzle.outbox WHERE tries > 0"
OVERDUE = "SELECT count(*) FROM points.sessions WHERE due_at < extract(epoch FROM clock_timestamp()) * 1000 - 300"


def now_ms() -> int:
    """The clock of this machine, which is also the database's."""
    return time.time_ns() // 1_000_000


def all_holds(system: System, games: Games, broke_at: int) -> None:
    """Wait for the end, and check everything of each of the games."""
    games.finish()
    wait_for(lambda: not invariants.unsettled(system), "all is delivered and settled", DRAINED_WITHIN_S)
    accepted = games.accepted()
    closed = [answer.judged.closed.closed_at for answer in accepted]
    assert min(closed) < broke_at < max(closed), "the fault did not come in mid-game"
    broken = {
        session_id: words
        for session_id in games.session_ids
        if (words := invariants.broken(system, games.final_state(session_id), accepted, games.recordings(session_id)))
    }
    assert broken == {}, broken
    assert all(len(report.results.players) == 3 for report in games.reports if report.results)
    for name in system.processes:
        assert "unexpected_error" not in system.log_of(name)


@pytest.fixture(autouse=True)
def _bots_never_doze(monkeypatch: pytest.MonkeyPatch) -> None:
    """A puzzle that is left to expire would last longer than the rest of the game."""
    monkeypatch.setattr(pace, "DOZING", 0.0)


def test_puzzle_killed(whole_system: System) -> None:
    with Games(whole_system) as games:
        games.wait_for_answers(BEFORE)
        broke_at = now_ms()
        whole_system.kill("puzzle")
        wait_for(lambda: games.retries >= 3, "bots miss the puzzle service")
        whole_system.start_again("puzzle")
        games.wait_for_answers(AFTER)
        games.wind_down()
        all_holds(whole_system, games, broke_at)


def test_points_killed(whole_system: System) -> None:
    with Games(whole_system) as games:
        games.wait_for_answers(BEFORE)
        broke_at = now_ms()
        whole_system.kill("points")
        wait_for(lambda: whole_system.number(RESENT) > 2, "the sweeper sends again")
        games.wait_for_answers(2)
        whole_system.start_again("points")
        games.wait_for_answers(AFTER)
        assert whole_system.metric("points", "baton_consumed_duplicates_total", stream=PUZZLE_EVENTS) > 0
        games.wind_down()
        all_holds(whole_system, games, broke_at)


@pytest.mark.parametrize("names", [("realtime",), ("realtime", "realtime-2")], ids=["one gateway", "both gateways"])
def test_gateways_killed(whole_system: System, names: tuple[str, ...]) -> None:
    with Games(whole_system) as games:
        games.wait_for_answers(BEFORE)
        sockets = {name: whole_system.metric(name, "baton_connections") for name in ("realtime", "realtime-2")}
        assert min(sockets.values()) > 0, sockets
        broke_at = now_ms()
        whole_system.kill(*names)
        wait_for(lambda: len(games.breaks) >= sum(sockets[name] for name in names), "clients come back")
        whole_system.start_again(*names)
        games.wait_for_answers(AFTER)
        games.wind_down()
        all_holds(whole_system, games, broke_at)


def _kill_pool_child(system: System) -> None:
    before = {child.pid for child in system.pool_children()}
    os.kill(min(before), signal.SIGKILL)
    wait_for(
        lambda: len(now := {child.pid for child in system.pool_children()}) == len(before) and now != before,
        "the worker replaces its child",
    )


def test_a_child_of_the_worker_killed(whole_system: System) -> None:
    with Games(whole_system) as games:
        games.wait_for_answers(BEFORE)
        broke_at = now_ms()
        _kill_pool_child(whole_system)
        games.wait_for_answers(AFTER)
        games.wind_down()
        all_holds(whole_system, games, broke_at)


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_worker_or_beat_killed(whole_system: System, name: str) -> None:
    with Games(whole_system) as games:
        games.wait_for_answers(BEFORE)
        games.wind_down(leaving=60)
        wait_for(lambda: not whole_system.number("SELECT count(*) FROM points.tick_requests"), "the ticks are taken")
        broke_at = now_ms()
        whole_system.kill(name)
        wait_for(lambda: whole_system.number(OVERDUE) > 0, "eliminations are overdue")
        whole_system.start_again(name)
        all_holds(whole_system, games, broke_at)


def test_valkey_emptied(whole_system: System) -> None:
    with Games(whole_system) as games:
        games.wait_for_answers(BEFORE)
        gaps = whole_system.metric("points", "baton_room_gaps_total")
        broke_at = now_ms()
        whole_system.valkey.flush()
        games.wait_for_answers(AFTER)
        games.wind_down()
        all_holds(whole_system, games, broke_at)


def test_valkey_emptied_while_points_is_behind(whole_system: System) -> None:
    with Games(whole_system) as games:
        games.wait_for_answers(BEFORE)
        os.kill(whole_system.processes["points"].pid, signal.SIGSTOP)
        try:
            wait_for(lambda: whole_system.number(UNCONFIRMED) >= 12, "events wait for points")
            broke_at = now_ms()
            whole_system.valkey.flush()
        finally:
            os.kill(whole_system.processes["points"].pid, signal.SIGCONT)
        games.wait_for_answers(AFTER)
        games.wind_down()
        all_holds(whole_system, games, broke_at)


@pytest.mark.parametrize("keeps", [True, False], ids=["with its file", "without its data"])
def test_valkey_killed(whole_system: System, keeps: bool) -> None:
    with Games(whole_system) as games:
        games.wait_for_answers(BEFORE)
        broke_at = now_ms()
        whole_system.valkey.kill()
        games.wait_for_answers(2)
        if not keeps:
            whole_system.valkey.wipe()
        whole_system.valkey.start()
        games.wait_for_answers(AFTER)
        games.wind_down()
        all_holds(whole_system, games, broke_at)


def test_postgres_killed(whole_system: System) -> None:
    with Games(whole_system) as games:
        games.wait_for_answers(BEFORE)
        broke_at = now_ms()
        whole_system.postgres.kill()
        wait_for(lambda: games.retries >= 3, "bots miss the database")
        whole_system.postgres.start()
        games.wait_for_answers(AFTER)
        games.wind_down()
        all_holds(whole_system, games, broke_at)
