import io
from collections import Counter
from typing import Any

import msgspec
from rich.console import Console

from baton.demo.measure import Latencies
from baton.demo.pace import Move
from baton.demo.replies import Results
from baton.demo.summary import Summary, as_table, summarise
from baton.demo.team import Report
from contracts.rooms import EndReason
from tests.unit.baton.demo.games import SESSION


def report(name: str, **changes: Any) -> Report:
    results = Results(session_id=SESSION, survival_ms=5_000, end_reason=EndReason.ALL_OUT, players=[], kept_alive=[])
    fields: dict[str, Any] = {
        "results": results,
        "replays_equal": 2,
        "received": 40,
        "ticks": 6,
        "moves": Counter({Move.RIGHT: 3, Move.NOTHING: 1}),
        "events": Counter({"answer.solved": 3, "puzzle.solved": 2, "points.awarded": 2}),
        "too_late": 1,
    }
    return Report(name, 2, **(fields | changes))


def summary(*reports: Report) -> Summary:
    return summarise(
        reports,
        Latencies([10.0, 30.0], [1.0, -2.0]),
        seconds=10.0,
        skill=0.9,
        speed=1.0,
        http_retries=0,
        http_refusals=Counter(puzzle_expired=2),
    )


def printed(summary: Summary) -> str:
    console = Console(record=True, width=120, file=io.StringIO())
    console.print(as_table(summary))
    return console.export_text()


def test_reports_are_added_up() -> None:
    found = summary(report("Otters"), report("Hares"))
    assert found.ok
    assert (found.teams, found.players, found.finished, found.replays_equal) == (2, 4, 2, 4)
    assert (found.answers, found.right, found.answers_too_late, found.answers_per_s) == (6, 6, 2, 0.6)
    assert (found.solved, found.awards, found.dozed, found.events_received, found.ticks_received) == (4, 4, 2, 80, 12)
    assert (found.latency_sent_to_last_socket.p99, found.latency_accepted_to_last_socket.p50) == (30.0, -2.0)


def test_one_fault_of_one_team_spoils_it() -> None:
    found = summary(report("Otters"), report("Hares", faults=["Ada: sequence: after 4 came 6"], sequence_faults=1))
    assert not found.ok
    assert found.gaps == 1
    assert found.faults == ["Hares: Ada: sequence: after 4 came 6"]


def test_a_game_without_results_spoils_it() -> None:
    assert not summary(report("Otters", results=None)).ok


def test_a_replay_that_differs_spoils_it() -> None:
    assert not summary(report("Otters", replays_equal=1)).ok


def test_nothing_played_is_not_well_played() -> None:
    assert not summary().ok


def test_reconnects_are_counted_by_reason() -> None:
    found = summary(report("Otters", breaks=["1012 service_restart", "1006", "1006"]))
    assert (found.reconnects, found.breaks) == (3, {"1012 service_restart": 1, "1006": 2})
    assert found.ok


def test_the_table_says_what_is_wrong() -> None:
    good = printed(summary(report("Otters")))
    assert "All is as it should be." in good
    assert "p50 10.0 ms · p99 30.0 ms" in good
    bad = printed(summary(report("Otters", faults=["Ada [x]: something"])))
    assert "NOT all is as it should be." in bad
    assert "Otters: Ada [x]: something" in bad


def test_as_json_it_can_be_read_again() -> None:
    found = summary(report("Otters"))
    assert msgspec.json.decode(found.as_json(), type=Summary) == found
