"""One thing breaks in mid-game: no accepted answer is lost, none pays twice, and no client's sequence breaks.

Each test plays games of bots over the public API, breaks one thing, mends it, and then looks at everything that the
databases hold and every client received (invariants.py).
"""

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from baton.demo import pace
from contracts.channels import PUZZLE_EVENTS
from tests.e2e import invariants
from tests.e2e.games import PLAYERS, Games
from tests.e2e.system import System, wait_for

BEFORE, AFTER = 5, 4
"""Answers of each team before and after the fault."""
WAITING = 4
"""Events that must be waiting before what they wait for comes back. While it is away, a bot answers once and waits."""
SETTLED_WITHIN_S = 30.0

UNCONFIRMED = "SELECT count(*) FROM puzzle.outbox"
SENT_AGAIN = "SELECT count(*) FROM puzzle.outbox WHERE tries > 0"
OVERDUE = "SELECT count(*) FROM points.sessions WHERE due_at < extract(epoch FROM clock_timestamp()) * 1000 - 300"
TICKS = "SELECT count(*) FROM points.tick_requests"

Figures = Callable[[str, object], None]


@pytest.fixture(autouse=True)
def _bots_never_doze(monkeypatch: pytest.MonkeyPatch) -> None:
    """A puzzle that is left to expire would last longer than the rest of the game."""
    monkeypatch.setattr(pace, "DOZING", 0.0)


@pytest.fixture
def system(whole_system: System) -> Iterator[System]:
    """The system, whole again after a test that failed half-way."""
    yield whole_system
    whole_system.mend()


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """Notes what a fault cost, for the report of the test."""

    def note(what: str, value: object) -> None:
        request.node.user_properties.append((what, value))

    return note


def now_ms() -> int:
    """The clock of this machine, which is also the database's."""
    return time.time_ns() // 1_000_000


def play_on(system: System, games: Games, broke_at: int, figures: Figures) -> None:
    """All is mended: play on, to the end, and check everything of each of the games."""
    games.wait_for_answers(AFTER)
    figures("seconds until all play again", (now_ms() - broke_at) / 1000)
    games.wind_down()
    play_out(system, games, broke_at, figures)


def play_out(system: System, games: Games, broke_at: int, figures: Figures) -> None:
    """Wait for the end, and check everything of each of the games."""
    games.finish()
    sessions = games.session_ids
    waited = wait_for(lambda: not invariants.unsettled(system, sessions), "all is settled", SETTLED_WITHIN_S)
    accepted = games.accepted()
    instants = [answer.judged.closed.closed_at for answer in accepted]
    before = sum(instant < broke_at for instant in instants)
    figures("answers before and after the fault", (before, len(instants) - before))
    figures("requests repeated, sockets reconnected", (games.retries, len(games.breaks)))
    figures("seconds from the last end until all is settled", waited)
    assert 0 < before < len(instants), "the fault did not come in mid-game"
    broken = {
        session_id: words
        for session_id in sessions
        if (words := invariants.broken(system, games.final_state(session_id), accepted, games.recordings(session_id)))
    }
    assert not broken, broken
    for report in games.reports:
        assert report.results is not None
        assert len(report.results.players) == PLAYERS
    for name in system.processes:
        assert "unexpected_error" not in system.log_of(name)


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


@pytest.mark.parametrize("names", [("realtime",), ("realtime", "realtime-2")], ids=["one of two", "both"])
def test_gateways_are_killed(system: System, names: tuple[str, ...], figures: Figures) -> None:
    with Games(system) as games:
        games.wait_for_answers(BEFORE)
        sockets = {name: system.metric(name, "baton_connections") for name in ("realtime", "realtime-2")}
        assert min(sockets.values()) > 0, sockets
        broke_at = now_ms()
        system.kill(*names)
        wait_for(lambda: len(games.breaks) >= sum(sockets[name] for name in names), "clients notice")
        system.start_again(*names)
        play_on(system, games, broke_at, figures)


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_worker_or_beat_is_killed(system: System, name: str, figures: Figures) -> None:
    with Games(system) as games:
        games.wait_for_answers(BEFORE)
        games.wind_down(leaving=40)
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


def test_valkey_is_emptied(system: System, figures: Figures) -> None:
    with Games(system) as games:
        games.wait_for_answers(BEFORE)
        told_before = _rooms_told_anew(system)
        broke_at = now_ms()
        system.valkey.flush()
        games.wait_for_answers(1)
        told = _rooms_told_anew(system) - told_before
        figures("rooms told anew", told)
        assert told > 0
        play_on(system, games, broke_at, figures)


def test_valkey_is_emptied_while_points_is_behind(system: System, figures: Figures) -> None:
    points = system.processes["points"].pid
    with Games(system) as games:
        games.wait_for_answers(BEFORE)
        os.kill(points, signal.SIGSTOP)
        try:
            wait_for(lambda: system.number(UNCONFIRMED) > WAITING, "events wait for points")
            broke_at = now_ms()
            system.valkey.flush()
        finally:
            os.kill(points, signal.SIGCONT)
        play_on(system, games, broke_at, figures)


@pytest.mark.parametrize("keeps_data", [True, False], ids=["and keeps its data", "and loses its data"])
def test_valkey_is_killed(system: System, keeps_data: bool, figures: Figures) -> None:
    with Games(system) as games:
        games.wait_for_answers(BEFORE)
        broke_at = now_ms()
        system.valkey.kill()
        wait_for(lambda: system.number(UNCONFIRMED) > WAITING, "events wait for Valkey")
        if not keeps_data:
            system.valkey.wipe()
        system.valkey.start()
        play_on(system, games, broke_at, figures)


def test_postgres_is_killed(system: System, figures: Figures) -> None:
    with Games(system) as games:
        games.wait_for_answers(BEFORE)
        broke_at = now_ms()
        system.postgres.kill()
        wait_for(lambda: games.retries >= WAITING, "bots miss the database")
        system.postgres.start()
        play_on(system, games, broke_at, figures)


def _rooms_told_anew(system: System) -> float:
    """How often points has had to tell a room its whole log, because it was behind or a gateway missed it."""
    return sum(system.metric("points", f"baton_room_{why}_total") for why in ("gaps", "rebuilds"))
