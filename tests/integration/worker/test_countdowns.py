"""Games begin at the instant that was told, whenever it is noticed."""

from collections.abc import Callable
from typing import Any

from services.kit.clock import local_ms
from services.points.service import settling
from tests.integration.worker.stage import HOUR, SLOW, Stage
from worker import tasks


def test_a_game_begins_at_the_instant_it_was_told_to_and_not_when_that_is_noticed(stage: Stage) -> None:
    session_id = stage.started(countdown_ms=300, **SLOW)
    starts_at = stage.session(session_id)["starts_at"]
    if tasks.end_countdowns():
        assert local_ms() >= starts_at
    stage.wait_until(starts_at + 100)
    tasks.end_countdowns()
    begun = stage.session(session_id)
    assert (begun["status"], begun["started_at"]) == ("active", starts_at)
    assert stage.seats(session_id, "zero_at") == [starts_at + 15 * HOUR] * 2
    assert tasks.end_countdowns() == 0


def test_a_countdown_that_is_not_over_is_left_alone(stage: Stage) -> None:
    session_id = stage.started(countdown_ms=60_000)
    assert tasks.end_countdowns() == 0
    assert tasks.settle() == 0
    assert stage.session(session_id)["status"] == "countdown"


def test_the_settling_begins_games_as_well(stage: Stage) -> None:
    session_id = stage.started(**SLOW)
    stage.wait_until(stage.session(session_id)["starts_at"])
    assert tasks.settle() == 1
    assert stage.session(session_id)["started_at"] == stage.session(session_id)["starts_at"]


def test_begun_side_by_side_is_begun_once(stage: Stage, side_by_side: Callable[..., list[Any]]) -> None:
    ids = [stage.started(**SLOW) for _ in range(4)]
    stage.wait_until(stage.session(ids[-1])["starts_at"])
    side_by_side(lambda held: settling.begin_due(held.points))
    for session_id in ids:
        assert stage.session(session_id)["status"] == "active"
        assert [entry["kind"] for entry in stage.rows.ledger(session_id)] == ["start", "start"]
        stage.rows.frames(session_id)
