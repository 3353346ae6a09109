"""The worker's tasks: everything has its exact instant, however late, doubled or side by side it is done."""

from collections.abc import Callable
from typing import Any

import pytest
import redis as redis_client
from celery.app.task import Task

from contracts.channels import POINTS_EVENTS, PUZZLE_EVENTS, room_channel, room_key, shard_of, watched_rooms
from contracts.events import encode
from contracts.ids import SessionId
from services.kit.clock import local_ms
from services.points.service import sessions, settling
from services.puzzle.service import upkeep as puzzle
from tests.factories import Puzzles
from tests.integration.worker.compare import assert_as_the_reference_says
from tests.integration.worker.stage import Stage
from tests.points_game import Rows
from worker import tasks
from worker.app import app
from worker.runtime import Resources, Runtime
from worker.schedule import SCHEDULE
from worker.settings import WorkerSettings

HOUR = 3_600_000
SLOW = {"interval_ms": HOUR}


def playing(stage: Stage, **rules: Any) -> SessionId:
    """A game of two that has begun, and of which both services know everything."""
    session_id = stage.started(**rules)
    stage.wait_until(stage.session(session_id)["starts_at"])
    assert tasks.end_countdowns() == 1
    stage.carry()
    return session_id


async def settle(held: Resources) -> int:
    """The body of the task `settle`, for any runtime."""
    return await settling.settle_due(held.points, held.positions)


# --- the schedule


def test_everything_on_the_schedule_is_a_task_and_is_dropped_rather_than_heaped_up() -> None:
    for entry in SCHEDULE.values():
        assert isinstance(app.tasks[entry["task"]], Task)
        assert entry["options"]["expires"] >= entry["schedule"]


# --- countdowns


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


# --- settling


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


def test_settled_side_by_side_is_settled_once(stage: Stage, side_by_side: Callable[..., list[Any]]) -> None:
    ids = [playing(stage, **SLOW) for _ in range(4)]
    for session_id in ids:
        stage.let_pass(session_id, 16 * HOUR)
    side_by_side(settle)
    tasks.settle()
    for session_id in ids:
        assert stage.session(session_id)["survival_ms"] == 15 * HOUR
        types = [
            row["type"]
            for row in stage.rows.all(
                "SELECT type FROM points.session_events WHERE session_id = %s ORDER BY seq", session_id
            )
        ]
        assert types.count("player.eliminated") == 2
        assert types.count("session.finished") == 1
        assert types[-1] == "session.finished"


def test_an_operators_ticks_are_taken_once_by_two_at_once(stage: Stage, side_by_side: Callable[..., list[Any]]) -> None:
    session_id = playing(stage, **SLOW)

    async def ask(held: Resources) -> int:
        async with held.points.transaction() as transaction:
            return (await settling.request_ticks(transaction, session_id, 2))[1]

    assert stage.runtime.run(ask) == 1
    side_by_side(settle)
    tasks.settle()
    assert [e["amount"] for e in stage.rows.ledger(session_id) if e["kind"] == "tick"] == [-2, -2]


def test_a_session_that_cannot_be_settled_does_not_hold_up_the_others(stage: Stage, rows: Rows) -> None:
    broken, whole = playing(stage, **SLOW), playing(stage, **SLOW)
    for session_id in (broken, whole):
        stage.let_pass(session_id, 16 * HOUR)
    rows.change(
        "INSERT INTO points.session_events (session_id, seq, type, at, frame)"
        " SELECT session_id, seq + 1, 'wrong', 0, '' FROM points.sessions WHERE session_id = %s",
        broken,
    )
    with pytest.raises(ExceptionGroup, match="1 sessions could not be settled"):
        tasks.settle()
    assert stage.session(whole)["status"] == "finished"
    assert stage.session(broken)["status"] == "active"
    rows.change("DELETE FROM points.session_events WHERE type = 'wrong'")
    assert tasks.settle() == 1
    assert stage.session(broken)["status"] == "finished"


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


# --- the rest


def test_puzzles_whose_time_is_up_are_closed_once(stage: Stage, side_by_side: Callable[..., list[Any]]) -> None:
    session_id = playing(stage, **SLOW)
    assert tasks.expire_puzzles() == 0
    stage.rows.change(
        "UPDATE puzzle.puzzles SET opened_at = opened_at - 1000000, deadline = deadline - 1000000 WHERE status = 'open'"
    )
    assert sum(side_by_side(lambda held: puzzle.expire_due(held.puzzle, held.types))) == 2
    assert tasks.expire_puzzles() == 0
    stage.carry()
    assert stage.seats(session_id, "expired") == [1, 1]
    assert stage.rows.value("SELECT count(*) FROM puzzle.puzzles WHERE status = 'open'") == 2


def test_rooms_that_somebody_watches_are_told_the_points(stage: Stage, redis_url: str) -> None:
    watched, unwatched, gone = (playing(stage, **SLOW) for _ in range(3))
    with redis_client.Redis.from_url(redis_url) as valkey, valkey.pubsub() as listener:
        listener.subscribe(*(room_channel(session_id) for session_id in (watched, unwatched, gone)))
        for session_id, until in ((watched, local_ms() + 60_000), (gone, local_ms() - 1)):
            valkey.zadd(watched_rooms(shard_of(session_id)), {str(session_id): until})
        assert tasks.tell_rooms() == 1
        assert tasks.tell_rooms() == 0  # another beat's
        heard: list[Any] = []
        while not heard:
            message = listener.get_message(ignore_subscribe_messages=True, timeout=5)
            if message is not None and message["data"].startswith(b"="):
                heard.append(message["channel"].decode())
        assert heard == [room_channel(watched)]


def test_the_sweep_sends_and_tells_again_what_was_lost(stage: Stage, redis_url: str) -> None:
    session_id = stage.started(**SLOW)
    with redis_client.Redis.from_url(redis_url) as valkey:
        valkey.flushall()
        assert tasks.sweep() == 0  # it may still be on its way
        stage.rows.change("UPDATE points.outbox SET next_try_at = 0")
        stage.rows.change("INSERT INTO points.untold_rooms SELECT session_id, seq, 0 FROM points.sessions")
        assert tasks.sweep() == 2
        assert valkey.xlen(POINTS_EVENTS) == 1
        assert int(valkey.hget(room_key(session_id), "seq")) == stage.session(session_id)["seq"]
    assert tasks.sweep() == 0


def test_a_valkey_that_is_away_fails_no_settling(
    stage: Stage, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id = playing(stage, **SLOW)
    stage.let_pass(session_id, 16 * HOUR)
    deaf = Runtime(WorkerSettings(database_url=database_url, redis_url="redis://127.0.0.1:1/0"))
    monkeypatch.setattr(tasks, "runtime", deaf)
    assert tasks.settle() == 1
    deaf.close()
    assert stage.session(session_id)["survival_ms"] == 15 * HOUR
    assert stage.rows.value("SELECT count(*) FROM points.untold_rooms") == 1


def test_old_lobbies_are_closed_and_old_keys_forgotten(stage: Stage) -> None:
    session_id = stage.started(countdown_ms=60_000)
    stage.rows.change(
        "UPDATE points.sessions SET status = 'lobby', due_at = NULL, created_at = 0 WHERE session_id = %s", session_id
    )
    assert tasks.close_abandoned() == 1
    ended = stage.session(session_id)
    assert (ended["status"], ended["end_reason"]) == ("finished", "abandoned")
    assert tasks.close_abandoned() == 0
    for schema in ("points", "puzzle"):
        stage.rows.change(f"INSERT INTO {schema}.idempotency VALUES ('a', 'b', '', '', 0)")  # noqa: S608 (our own names)
    assert tasks.forget_old() == 2
    assert tasks.forget_old() == 0
