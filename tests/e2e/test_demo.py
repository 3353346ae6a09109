"""`python -m baton demo` for real: bots play whole games on a real system."""

import signal

import msgspec
import pytest

from baton.demo.summary import Summary
from baton.ports import any_free
from tests.e2e.demo import QUICK, demo, start_demo
from tests.e2e.system import System

ENDLESS = ["--speed", "2", "--rules", '{"start_points": 1000, "decay": 1, "interval_ms": 60000, "countdown_ms": 500}']


@pytest.fixture
def url(system: System) -> str:
    return system.url("realtime")


@pytest.mark.timeout(180)
def test_two_teams_play_to_the_end_and_all_is_as_it_should_be(url: str) -> None:
    code, output, errors = demo("--url", url, "--teams", "2", "--json", *QUICK)
    assert code == 0, output + errors
    summary = msgspec.json.decode(output, type=Summary)
    assert summary.ok
    assert summary.faults == []
    assert (summary.teams, summary.players, summary.finished) == (2, 8, 2)
    assert (summary.gaps, summary.replays_equal, summary.eliminations) == (0, 8, 8)
    assert summary.survival_ms["shortest"] is not None
    assert summary.survival_ms["shortest"] >= 10 * 250
    assert summary.answers == summary.right + summary.wrong > 0
    assert summary.solved + summary.failed == summary.answers - summary.answers_too_late
    assert summary.awards + summary.voids == summary.solved
    assert summary.ticks_received > 0
    measured = summary.latency_sent_to_last_socket
    assert measured.count == summary.solved + summary.failed
    assert measured.p50 is not None
    assert measured.p99 is not None
    assert 0 < measured.p50 <= measured.p99
    assert summary.latency_accepted_to_last_socket.count == measured.count


@pytest.mark.timeout(180)
def test_the_host_ends_a_game_that_lasts_too_long(url: str) -> None:
    code, output, errors = demo("--url", url, "--plain", "--max-seconds", "3", *ENDLESS)
    assert code == 0, output + errors
    assert "play begins: 1000 points each" in output
    assert "(ended by host)" in output
    assert "All is as it should be." in output


@pytest.mark.timeout(180)
def test_ctrl_c_stops_it_cleanly(url: str) -> None:
    with start_demo("--url", url, "--plain", *ENDLESS, settings={"PYTHONUNBUFFERED": "1"}) as process:
        assert process.stdout is not None
        assert any("play begins" in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == "demo: stopped\n"


def test_without_an_answer_from_the_address_it_says_so(url: str) -> None:
    code, _, errors = demo("--url", url + "/nothing-here", "--json")
    assert code == 2
    assert "404" in errors


def test_rules_that_are_no_json_are_refused() -> None:
    code, _, errors = demo("--url", f"http://127.0.0.1:{any_free()}", "--rules", "fast")
    assert code == 2
    assert "--rules" in errors


@pytest.mark.timeout(180)
def test_rules_that_the_server_refuses_are_a_fault(url: str) -> None:
    code, output, _ = demo("--url", url, "--json", "--rules", '{"interval_ms": 1}')
    assert code == 1
    summary = msgspec.json.decode(output, type=Summary)
    assert not summary.ok
    assert "invalid_rules" in summary.faults[0]
    assert "interval_ms" in summary.faults[0]
