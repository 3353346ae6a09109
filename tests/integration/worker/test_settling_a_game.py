"""A game settled: everything has its exact instant, however late it is done, and no answer comes too late."""

from collections.abc import Callable
from typing import Any

from contracts.channels import PUZZLE_EVENTS
from contracts.events import encode
from services.points.service import sessions, settling
from tests.factories import Puzzles
from tests.integration.worker.compare import assert_as_the_reference_says
from tests.integration.worker.stage import HOUR, SLOW, Stage, playing, settle
from worker import tasks
from worker.runtime import Resources


def test_eliminations_and_the_end_have_their_exact_instants(stage: Stage) -> None:
    session_id = playing(stage, **SLOW)
    stage.let_pass(session_id, 14 * HOUR)
    assert tasks.settle() == 0
    stage.let_pass(session_id, 3 * HOUR)
    started_at = stage.session(session_id)["started_at"]
    assert tasks.settle() == 1
    ended = stage.session(session_id)
    assert stage.seats(session_id, "eliminated_at") == [started_at + 15 * HOUR] * 2
    assert (ended["status"], ended["survival_ms"]) == ("finished", 15 * HOUR)
    assert ended["finished_at"] == started_at + 15 * HOUR
    assert tasks.settle() == 0


def test_nothing_is_settled_past_an_answer_that_points_has_not_heard_of(stage: Stage) -> None:
    """The answer saves the second player, though it arrives long after both seem to be at zero."""
    session_id = playing(stage, **SLOW)
    stage.let_pass(session_id, 16 * HOUR)
    started_at = stage.session(session_id)["started_at"]
    player = stage.seats(session_id, "player_id")[0]
    puzzles = Puzzles(session_id)
    puzzles.version = stage.session(session_id)["puzzle_version"]
    on_its_way = puzzles.solved(player, started_at + 15 * HOUR - 1)
    stage.rows.change("UPDATE puzzle.sessions SET version = version + 1 WHERE session_id = %s", session_id)
    assert tasks.settle() == 0
    assert stage.seats(session_id, "eliminated_at") == [None, None]

    stage.rows.change(
        "INSERT INTO puzzle.outbox (event_id, session_id, version, stream, payload, created_at, next_try_at, tries)"
        " VALUES (%s, %s, %s, %s, %s, 0, 0, 0)",
        on_its_way.event_id,
        session_id,
        on_its_way.version,
        PUZZLE_EVENTS,
        encode(on_its_way),
    )
    stage.carry()
    assert tasks.settle() == 1
    assert stage.seats(session_id, "eliminated_at") == [started_at + 15 * HOUR, None]
    stage.let_pass(session_id, 5 * HOUR)
    assert tasks.settle() == 1
    assert stage.session(session_id)["survival_ms"] == 20 * HOUR


def test_real_answers_on_their_way_hold_the_settling_up(stage: Stage) -> None:
    session_id = playing(stage, **SLOW)
    puzzle_id = stage.solve(session_id, 0)
    stage.rows.change("UPDATE points.sessions SET due_at = 0 WHERE session_id = %s", session_id)
    assert tasks.settle() == 0
    stage.carry()
    stage.rows.change("UPDATE points.sessions SET due_at = 0 WHERE session_id = %s", session_id)
    assert tasks.settle() == 1
    [award] = [entry for entry in stage.rows.ledger(session_id) if entry["kind"] == "award"]
    assert award["puzzle_id"] == puzzle_id


def test_an_answer_after_the_settling_is_later_than_it(stage: Stage) -> None:
    """Puzzle vouches for an instant, and gives no later answer an earlier one."""
    session_id = playing(stage, **SLOW)
    stage.rows.change("UPDATE points.sessions SET due_at = 0 WHERE session_id = %s", session_id)
    assert tasks.settle() == 1
    settled_at = stage.session(session_id)["settled_at"]
    stage.solve(session_id, 0)
    stage.carry()
    assert next(e["at"] for e in stage.rows.ledger(session_id) if e["kind"] == "award") > settled_at


def test_an_operators_ticks_are_taken_once_by_two_at_once(stage: Stage, side_by_side: Callable[..., list[Any]]) -> None:
    session_id = playing(stage, **SLOW)

    async def ask(held: Resources) -> int:
        async with held.points.transaction() as transaction:
            return (await settling.request_ticks(transaction, session_id, 2))[1]

    assert stage.runtime.run(ask) == 1
    side_by_side(settle)
    tasks.settle()
    assert [e["amount"] for e in stage.rows.ledger(session_id) if e["kind"] == "tick"] == [-2, -2]


def test_a_game_played_through_the_services_agrees_with_the_reference_model(stage: Stage) -> None:
    """Real answers; what came of them is compared with the plain model afterwards."""
    session_id = playing(stage, players=3, start_points=2, award=1, **SLOW)
    for solvers, hours in (((0, 0, 1), 0.6), ((2,), 0.6), ((0, 1), 1.1), ((1,), 1.9)):
        for seat in solvers:
            stage.solve(session_id, seat)
        assert tasks.settle() == 0
        stage.carry()
        stage.let_pass(session_id, int(hours * HOUR))
        tasks.settle()
        stage.carry()
    stage.let_pass(session_id, 9 * HOUR)
    tasks.settle()
    reference = assert_as_the_reference_says(stage.rows, session_id)
    assert len(reference.paid) == 7


def test_a_finished_game_is_replayed_and_counted_in_the_standings_once(stage: Stage) -> None:
    session_id = playing(stage, **SLOW)
    for seat in (0, 1, 1):
        stage.solve(session_id, seat)
    stage.carry()

    async def end(held: Resources) -> None:
        async with held.points.transaction() as transaction:
            await sessions.end(transaction, session_id)

    stage.runtime.run(end)
    assert tasks.replay_finished() == 0
    assert tasks.settle() == 1
    assert tasks.replay_finished() == 1
    assert stage.rows.value("SELECT differences FROM points.finished_games") == []
    assert tasks.fold_standings() >= 3  # the game, the team, and the types that were met
    assert tasks.replay_finished() == tasks.fold_standings() == 0
    assert stage.rows.value("SELECT games FROM points.tallies WHERE measure = 'survival' AND level = 5") == 1
