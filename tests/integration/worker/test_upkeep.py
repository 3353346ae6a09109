"""What the worker does beside settling: puzzles' ends, rooms, lost messages, old lobbies and keys."""

from collections.abc import Callable
from typing import Any

import pytest
import redis as redis_client

from contracts.channels import POINTS_EVENTS, room_channel, room_key, shard_of, watched_rooms
from services.kit.clock import local_ms
from services.puzzle.service import upkeep as puzzle
from tests.integration.worker.stage import HOUR, SLOW, Stage, playing
from worker import tasks
from worker.runtime import Runtime
from worker.settings import WorkerSettings


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
