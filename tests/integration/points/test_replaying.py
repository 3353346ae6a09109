"""Finished games are re-created from their logs, each once, and what differs is kept, told and counted."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from contracts.ids import SessionId
from services.kit.database import Database
from services.kit.settings import DatabaseSettings
from services.points import replay as command
from services.points.domain.game import Game
from services.points.service import measuring, replaying
from tests.finished_games import new_team, play, playing
from tests.points_game import Rows, Team

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
SOME = [("memory", True), ("spatial", False), ("memory", True)]


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"baton_{name}", labels) or 0.0


async def some_games(database: Database, count: int) -> list[Game]:
    return [await play(database, await new_team(database), 10_000 + number, SOME) for number in range(count)]


async def test_each_finished_game_is_replayed_once_and_agrees(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    games = await some_games(database, 3)
    never_began = await Team.make(client, 1)
    await never_began.as_host(await never_began.open(), "end")
    await playing(database, await new_team(database))
    agreed = metric("replays_total", outcome="agreed")
    assert await replaying.replay_finished(database) == 4
    found = rows.all("SELECT differences, replayed_at FROM points.finished_games")
    assert [row["differences"] for row in found] == [[]] * 4
    assert metric("replays_total", outcome="agreed") - agreed == 4
    await measuring.measure(database)
    assert (metric("replays_differing"), metric("replay_lag_seconds")) == (0, 0)
    assert await replaying.replay_finished(database) == 0
    assert rows.all("SELECT differences, replayed_at FROM points.finished_games") == found
    assert len(games) == 3


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ("UPDATE points.ledger SET amount = 6 WHERE kind = 'award'", "ledger solve:"),
        ("DELETE FROM points.ledger WHERE kind = 'award'", "is None"),
        ("UPDATE points.seats SET base = base + 1 WHERE seat = 1", "the ledger gives"),
        ("UPDATE points.sessions SET survival_ms = survival_ms + 1", "survival_ms is"),
        ("DELETE FROM points.session_events WHERE seq = 5", "the log has"),
        ("UPDATE points.session_events SET frame = 'x' WHERE seq = 5", "cannot be read"),
        ('UPDATE points.sessions SET rules = \'{"award": "much"}\'', "cannot be read"),
        ("UPDATE points.sessions SET status = 'active'", "finished"),
    ],
)
async def test_what_differs_is_kept_and_told_and_holds_up_nobody(
    database: Database, rows: Rows, change: str, word: str
) -> None:
    [broken] = await some_games(database, 1)
    rows.change(change)
    await some_games(database, 1)
    differed = metric("replays_total", outcome="differed")
    with capture_logs() as logs:
        assert await replaying.replay_finished(database) == 2
    kept = rows.all("SELECT session_id, differences FROM points.finished_games WHERE differences <> '[]'")
    assert [row["session_id"] for row in kept] == [broken.session_id]
    assert word in "\n".join(kept[0]["differences"])
    [told] = [line for line in logs if line["event"] == "replay_differs"]
    assert (told["log_level"], told["session_id"]) == ("error", str(broken.session_id))
    assert metric("replays_total", outcome="differed") - differed == 1
    await measuring.measure(database)
    assert metric("replays_differing") == 1


async def test_a_run_is_bounded_and_the_next_goes_on(
    database: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "REPLAYED_AT_ONCE", 2)
    await some_games(database, 5)
    assert await replaying.replay_finished(database, limit=3) == 3
    assert await replaying.replay_finished(database, limit=3) == 2
    assert rows.value("SELECT count(*) FROM points.finished_games WHERE replayed_at IS NULL") == 0


async def test_two_at_once_replay_different_games(database: Database, rows: Rows) -> None:
    await some_games(database, 6)
    done = await asyncio.gather(*(replaying.replay_finished(database) for _ in range(2)))
    while sum(done) < 6:  # one found all that was left in the other's hands, and was content
        done.append(await replaying.replay_finished(database))
    assert sum(done) == 6


async def test_a_game_that_waits_for_long_is_seen(database: Database, rows: Rows) -> None:
    await some_games(database, 2)
    rows.change("UPDATE points.finished_games SET finished_at = finished_at - 100000")
    await replaying.replay_finished(database, limit=1)
    await measuring.measure(database)
    assert metric("replay_lag_seconds") > 80


# --- the command


async def run(database_url: str, session_id: object) -> int:
    return await command.run(DatabaseSettings(database_url=database_url), SessionId(session_id))  # type: ignore[arg-type]  # a UUID


async def test_the_command_says_whether_it_agrees(
    database: Database, database_url: str, rows: Rows, capsys: pytest.CaptureFixture[str]
) -> None:
    [game] = await some_games(database, 1)
    assert await run(database_url, game.session_id) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "the replay agrees in everything"
    rows.change("UPDATE points.seats SET solved = 7 WHERE seat = 0")
    assert await run(database_url, game.session_id) == 1
    first, *lines, last = capsys.readouterr().out.splitlines()
    assert "4 ledger entries, survived 10000 ms" in first
    assert last == "the replay differs from what is stored"
    assert any("solved" in line for line in lines)
    assert rows.value("SELECT replayed_at FROM points.finished_games") is None


async def test_the_command_needs_a_game_that_is_over(
    database: Database, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    active = await playing(database, await new_team(database))
    for session_id, reason in ((active.session_id, "once the session is finished"), (uuid4(), "no such session")):
        assert await run(database_url, session_id) == 2
        assert reason in capsys.readouterr().err
    assert await run("postgresql://baton@127.0.0.1:1/baton", uuid4()) == 2
    assert "onnection" in capsys.readouterr().err


async def test_baton_replay_hands_the_exit_code_on(database: Database, database_url: str, rows: Rows) -> None:
    [game] = await some_games(database, 1)
    rows.change("UPDATE points.sessions SET survival_ms = 1")
    words = [sys.executable, "-m", "baton", "replay", str(game.session_id)]
    settings = {**os.environ, "DATABASE_URL": database_url}
    ended = await asyncio.to_thread(
        subprocess.run, words, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (1, "")
    assert "differs: survival_ms is 1" in ended.stdout
