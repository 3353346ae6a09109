"""What the tests of faults share: playing on after the fault, to the end, and looking at everything then."""

import time
from collections import Counter
from collections.abc import Callable

from tests.e2e import invariants
from tests.e2e.games import PLAYERS, Games
from tests.e2e.system import System, wait_for

Figures = Callable[[str, object], None]

BEFORE, AFTER = 5, 4
"""Answers of each team before and after the fault."""
WAITING = 4
"""Events that must be waiting before what they wait for comes back. While it is away, a bot answers once and waits."""
SETTLED_WITHIN_S = 30.0

UNCONFIRMED = "SELECT count(*) FROM puzzle.outbox"


def now_ms() -> int:
    """The clock of this machine, which is also the database's."""
    return time.time_ns() // 1_000_000


def play_on(system: System, games: Games, broke_at: int, figures: Figures) -> None:
    """All is mended: play on, to the end, and check everything of each of the games."""
    games.wait_for_answers(AFTER)
    figures("seconds from the fault until all play again", (now_ms() - broke_at) / 1000)
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
    figures("answers before the fault, and after it", (before, len(instants) - before))
    figures("requests repeated", games.retries)
    figures("why sockets were opened again", dict(Counter(games.breaks)))
    figures("seconds from the last end until all is settled", waited)
    assert 0 < before < len(instants), "the fault did not come in mid-game"
    broken = {
        session_id: words
        for session_id in sessions
        if (words := invariants.broken(system, games.final_state(session_id), accepted, games.recordings(session_id)))
    }
    assert not broken, broken
    for report in games.reports:
        assert report.results is not None, f"{report.name} has no results"
        assert len(report.results.players) == PLAYERS, report.results
    for name, process in system.processes.items():
        assert process.runs, f"{name} has ended by itself"
        assert "unexpected_error" not in process.new_output(), f"{name} answered with a 500"
