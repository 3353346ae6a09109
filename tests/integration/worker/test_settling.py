"""Settling many sessions: in batches, by any number of workers, and none holds up the others."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec
import pytest

from contracts.ids import SessionId
from services.points.service import settling
from services.puzzle.service.upkeep import Position
from tests.integration.worker.stage import HOUR, SLOW, Stage, all_playing, playing, settle
from tests.points_game import Rows
from worker import tasks
from worker.runtime import Resources


class Asked:
    """The worker's way to ask the puzzle service, with a list of what was asked."""

    def __init__(self) -> None:
        self.questions: list[list[SessionId]] = []

    async def settle(self, held: Resources) -> int:
        async def ask(session_ids: Collection[SessionId]) -> Mapping[SessionId, Position]:
            self.questions.append(list(session_ids))
            return await held.positions(session_ids)

        return await settling.settle_due(held.points, ask)


def test_all_that_is_due_is_settled_in_batches(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "BATCH", 2)
    ids = all_playing(stage, 5, **SLOW)
    for number, session_id in enumerate(ids):
        stage.let_pass(session_id, (16 + number) * HOUR)
    asked = Asked()
    assert stage.runtime.run(asked.settle) == 5
    assert [len(question) for question in asked.questions] == [2, 2, 1]
    assert [session_id for question in asked.questions for session_id in question] == ids[::-1]  # most overdue first
    assert {stage.session(session_id)["survival_ms"] for session_id in ids} == {15 * HOUR}


def test_a_batch_is_worked_out_while_another_waits(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "BATCH", 2)
    for session_id in all_playing(stage, 4, **SLOW):
        stage.let_pass(session_id, 16 * HOUR)

    async def settle(held: Resources) -> int:
        both = asyncio.Barrier(2)

        async def ask(session_ids: Collection[SessionId]) -> Mapping[SessionId, Position]:
            async with asyncio.timeout(20), both:
                return await held.positions(session_ids)

        return await settling.settle_due(held.points, ask)

    assert stage.runtime.run(settle) == 4


def test_where_one_of_two_batches_cannot_be_asked_about_that_is_raised_and_nothing_stays_locked(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "BATCH", 2)
    for session_id in all_playing(stage, 4, **SLOW):
        stage.let_pass(session_id, 16 * HOUR)

    async def settle(held: Resources) -> int:
        asked = 0

        async def ask(session_ids: Collection[SessionId]) -> Mapping[SessionId, Position]:
            nonlocal asked
            asked += 1
            if asked == 2:
                raise ConnectionError("away")
            await asyncio.Event().wait()
            return {}

        return await settling.settle_due(held.points, ask)

    with pytest.raises(ConnectionError):
        stage.runtime.run(settle)
    assert tasks.settle() == 4


def test_workers_share_what_is_due_without_overlap(
    stage: Stage, side_by_side: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "BATCH", 2)
    ids = all_playing(stage, 10, **SLOW)
    for session_id in ids:
        stage.let_pass(session_id, 16 * HOUR)
    asked = Asked()
    assert sum(side_by_side(asked.settle)) == 10
    assert Counter(session_id for question in asked.questions for session_id in question) == Counter(ids)


def test_a_session_that_waits_for_an_answer_is_asked_about_once_and_again_when_that_was_applied(
    stage: Stage, rows: Rows
) -> None:
    waiting, ready = all_playing(stage, 2, **SLOW)
    stage.solve(waiting, 0)
    for session_id in (waiting, ready):
        rows.change("UPDATE points.sessions SET due_at = 0 WHERE session_id = %s", session_id)
    asked = Asked()
    assert stage.runtime.run(asked.settle) == 1
    assert [set(question) for question in asked.questions] == [{waiting, ready}]
    assert stage.runtime.run(asked.settle) == 0
    assert len(asked.questions) == 1  # it is not even looked at

    stage.carry()
    rows.change("UPDATE points.sessions SET due_at = 0 WHERE session_id = %s", waiting)
    assert stage.runtime.run(asked.settle) == 1
    assert asked.questions[1:] == [[waiting]]


def test_requested_ticks_wait_for_answers_as_well(stage: Stage, rows: Rows) -> None:
    [session_id] = all_playing(stage, 1, **SLOW)
    stage.solve(session_id, 0)

    async def ask(held: Resources) -> None:
        async with held.points.transaction() as transaction:
            await settling.request_ticks(transaction, session_id, 3)

    stage.runtime.run(ask)
    assert tasks.settle() == tasks.settle() == 0
    assert rows.value("SELECT count(*) FROM points.tick_requests") == 1
    stage.carry()
    assert tasks.settle() == 1
    assert [entry["amount"] for entry in rows.ledger(session_id) if entry["kind"] == "tick"] == [-3, -3]


def test_a_session_that_cannot_be_settled_is_tried_once_a_run_and_its_neighbours_are_settled(
    stage: Stage, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "BATCH", 2)
    broken, *whole = all_playing(stage, 4, **SLOW)
    stage.let_pass(broken, 20 * HOUR)
    for session_id in whole:
        stage.let_pass(session_id, 16 * HOUR)
    rows.change(
        "INSERT INTO points.session_events (session_id, seq, type, at, frame)"
        " SELECT session_id, seq + 1, 'wrong', 0, '' FROM points.sessions WHERE session_id = %s",
        broken,
    )
    for _ in range(2):
        with pytest.raises(ExceptionGroup, match="1 sessions could not be settled"):
            tasks.settle()
        assert {stage.session(session_id)["status"] for session_id in whole} == {"finished"}
    assert stage.session(broken)["status"] == "active"


def test_a_consumer_that_was_away_for_minutes_has_changed_no_result(stage: Stage, rows: Rows) -> None:
    """Nobody is put out meanwhile; afterwards all have the instants that they would have had."""
    session_id, *others = all_playing(stage, 3, **SLOW, start_points=2, award=1)
    players = stage.seats(session_id, "player_id")
    stage.let_pass(session_id, HOUR + HOUR // 2)
    stage.solve(session_id, 0)  # in time; points hears of it long after both would be at zero
    for each in (session_id, *others):
        stage.let_pass(each, 4 * HOUR)
    started_at = stage.session(session_id)["started_at"]
    _shift_events(rows, session_id, 4 * HOUR)
    assert tasks.settle() == len(others)
    assert stage.seats(session_id, "eliminated_at") == [None, None]
    assert stage.session(session_id)["settled_at"] <= started_at + 2 * HOUR

    stage.carry()
    assert tasks.settle() == 1
    assert stage.seats(session_id, "eliminated_at") == [started_at + 2 * HOUR, started_at + 3 * HOUR]
    [award] = [entry for entry in rows.ledger(session_id) if entry["kind"] == "award"]
    assert award["player_id"] == players[1]
    assert started_at + HOUR < award["at"] < started_at + 2 * HOUR
    assert stage.session(session_id)["survival_ms"] == 3 * HOUR


def _shift_events(rows: Rows, session_id: SessionId, duration_ms: int) -> None:
    """Events on their way to points are older, too."""
    for row in rows.all("SELECT event_id, payload FROM puzzle.outbox WHERE session_id = %s", session_id):
        event = msgspec.json.decode(row["payload"])
        event["at"] -= duration_ms
        rows.change(
            "UPDATE puzzle.outbox SET payload = %s WHERE event_id = %s", msgspec.json.encode(event), row["event_id"]
        )


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
