"""Real workers and real beats, two of each at once: games of real time, exact to the millisecond."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from baton.orphans import signal_group
from baton.ping import node_name
from baton.processes import Command
from contracts.ids import SessionId
from tests.conftest import empty_database
from tests.e2e.system import Process, wait_for
from tests.integration.worker.compare import assert_as_the_reference_says
from tests.integration.worker.stage import QUICK
from tests.points_game import Rows, Team, bearer, running, until
from tests.puzzle_game import Rows as PuzzleRows
from tests.puzzle_game import right_answer

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def processes(
    database_url: str, valkey: Any, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Process]]:
    """Two workers and two beats, on this pytest worker's database and Valkey."""
    empty_database(database_url)
    valkey.flush()
    folder = tmp_path_factory.mktemp("celery")
    broker = redis_url.removesuffix("/0") + "/1"
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": database_url, "REDIS_URL": redis_url}
    celery = [sys.executable, "-m", "celery", "-A", "worker.app"]
    started = {}
    for number in (1, 2):
        alone = ["--without-mingle", "--without-gossip"]
        name = f"worker{number}@%h"
        worker = [*celery, "worker", "--concurrency", "1", "--hostname", name, "--loglevel", "INFO", *alone]
        beat = [*celery, "beat", "--schedule", str(folder / f"schedule-{number}"), "--loglevel", "INFO"]
        ping = (broker, node_name(f"worker{number}"))
        commands = [
            Command(f"worker-{number}", worker, environment, ROOT, ready_ping=ping),
            Command(f"beat-{number}", beat, environment, ROOT, ready_line="beat: Starting"),
        ]
        for command in commands:
            started[command.name] = Process(command, folder / f"{command.name}.log")
            started[command.name].start()
    try:
        with httpx.Client() as http:
            for name, process in started.items():
                wait_for(partial(process.is_ready, http), f"{name} is ready")
        yield started
    finally:
        for process in started.values():
            process.kill()


@pytest.fixture
async def services(
    processes: dict[str, Process], points_app: FastAPI, puzzle_app: FastAPI
) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """Points and puzzle, in this process."""
    async with running(points_app) as points_client, running(puzzle_app) as puzzle_client:
        yield points_client, puzzle_client


@pytest.fixture
def rows(database_url: str) -> Rows:
    return Rows(database_url)


async def has_status(team: Team, session_id: SessionId, status: str) -> bool:
    return (await team.state(session_id)).status.value == status


async def solve(client: httpx.AsyncClient, team: Team, seat: int, database_url: str) -> str | None:
    """Answer a player's open puzzle. Returns its id if the answer was accepted: on a slow machine time may be up."""
    try:
        open_puzzle = PuzzleRows(database_url).open_puzzle(team.players[seat])
    except ValueError:
        return None
    response = await client.post(
        f"/puzzles/{open_puzzle['puzzle_id']}/answer",
        json={"answer": right_answer(open_puzzle)},
        headers=bearer(team.tokens[seat]),
    )
    assert response.status_code in {200, 409}, response.text
    return str(open_puzzle["puzzle_id"]) if response.status_code == 200 else None


async def play(
    services: tuple[httpx.AsyncClient, httpx.AsyncClient], database_url: str, rows: Rows, **rules: Any
) -> tuple[Team, SessionId]:
    """A game of three that has begun, and everybody has a puzzle."""
    team = await Team.make(services[0], 3)
    rules = {"countdown_ms": 300, "puzzle_types": QUICK, "award": 1, **rules}
    session_id = await team.open(**rules)
    await team.start(session_id)

    async def everybody_has_a_puzzle() -> bool:
        found = rows.value("SELECT count(*) FROM puzzle.puzzles WHERE session_id = %s", session_id)
        return bool(found >= 3)

    await until(everybody_has_a_puzzle)
    return team, session_id


async def test_two_workers_and_two_beats_play_a_game_as_one(
    services: tuple[httpx.AsyncClient, httpx.AsyncClient],
    processes: dict[str, Process],
    database_url: str,
    rows: Rows,
) -> None:
    team, session_id = await play(services, database_url, rows, start_points=3, interval_ms=1_000)
    accepted = {await solve(services[1], team, seat, database_url) for seat in (0, 0, 2, 0)} - {None}
    await until(lambda: has_status(team, session_id, "finished"))

    reference = assert_as_the_reference_says(rows, session_id)
    assert accepted
    assert reference.paid.keys() == accepted
    state = await team.state(session_id)
    assert rows.replayed(session_id) == state
    assert state.started_at == state.starts_at
    keys = [entry["key"] for entry in rows.ledger(session_id)]
    assert len(keys) == len(set(keys)) == 3 + len(accepted)
    assert all(process.runs for process in processes.values())


async def test_workers_that_were_stopped_catch_up_to_the_exact_instant(
    services: tuple[httpx.AsyncClient, httpx.AsyncClient], processes: dict[str, Process], rows: Rows
) -> None:
    """A whole game, from its beginning to its end, passes while nobody notices."""
    team = await Team.make(services[0], 2)
    session_id = await team.open(countdown_ms=100, start_points=2, interval_ms=250)
    workers = [processes[name].pid for name in ("worker-1", "worker-2")]
    for pid in workers:
        signal_group(pid, signal.SIGSTOP)
    try:
        await team.start(session_id)

        async def nobody_has_points() -> bool:
            body = await team.get(f"/sessions/{session_id}/points")
            return {player["points"] for player in body["players"]} == {0}

        await until(nobody_has_points)
        assert await has_status(team, session_id, "countdown")  # nobody had to write that they have none
    finally:
        for pid in workers:
            signal_group(pid, signal.SIGCONT)
    await until(lambda: has_status(team, session_id, "finished"))
    reference = assert_as_the_reference_says(rows, session_id)
    assert reference.finished_at == reference.setting.starts_at + 500


async def test_a_host_ends_a_game_and_operators_hurry_it_through_the_worker(
    services: tuple[httpx.AsyncClient, httpx.AsyncClient], database_url: str, rows: Rows
) -> None:
    """Both ask the worker at once, by name, rather than wait for its next round."""
    team, session_id = await play(services, database_url, rows, interval_ms=3_600_000)
    operator = {"X-Operator-Key": "development-operator-key"}
    body = {"session_id": str(session_id), "ticks": 4}
    assert (await services[0].post("/points/decay", json=body, headers=operator)).status_code == 202

    async def taken() -> bool:
        return [e["amount"] for e in rows.ledger(session_id) if e["kind"] == "tick"] == [-4, -4, -4]

    await until(taken)
    await team.as_host(session_id, "end")
    await until(lambda: has_status(team, session_id, "finished"))
    session = rows.one("SELECT * FROM points.sessions WHERE session_id = %s", session_id)
    assert session["finished_at"] == session["ending_at"]
    assert rows.value("SELECT count(*) FROM points.ledger WHERE kind = 'tick'") == 3
