"""What is kept does not grow with what is played: an hour's worth of games, most of them archived and forgotten.

Both services' consumers and the worker's use cases run as they always do. Time is moved by moving what has ended back.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from pydantic import BaseModel

from contracts.channels import GROUP_OF
from contracts.ids import SessionId, TeamId
from services.kit.idempotency import KEPT_MS, Key, OncePerKey
from services.kit.supervise import Supervisor
from services.points import models
from services.points.consumer import Consumers
from services.points.domain.rules import KNOWN_PUZZLE_TYPES
from services.points.service import replaying, retention, sessions, settling, standings
from services.points.service import upkeep as points
from services.puzzle import consumer
from services.puzzle.service import upkeep as puzzle
from services.puzzle.service.answering import Answers, Given
from tests.finished_games import new_team
from tests.integration.worker.stage import QUICK
from tests.points_game import Rows, until
from tests.puzzle_game import right_answer
from worker.runtime import Resources
from worker.settings import WorkerSettings

pytestmark = pytest.mark.anyio

ROUNDS, TEAMS, PLAYERS, ANSWERS = 12, 8, 2, 3
ROUND_MS = KEPT_MS // 3
ARCHIVED_AFTER_MS, FORGOTTEN_AFTER_MS = ROUND_MS * 3 // 2, ROUND_MS * 7 // 2
MOVED = {
    "points.finished_games": "finished_at",
    "points.archived_sessions": "finished_at",
    "points.idempotency": "created_at",
    "puzzle.sessions": "finished_at",
    "puzzle.idempotency": "created_at",
}
BOUNDED_OTHERWISE = "points.tallies"
"""A row a value that a game had, however many games had it."""


class Opened(BaseModel):
    """What the request that opens a session is answered."""

    session_id: SessionId


@asynccontextmanager
async def everything(settings: WorkerSettings) -> AsyncIterator[Resources]:
    """What the worker holds, with the background tasks of both services."""
    held = Resources(settings)
    heard = Consumers(held.points, held.redis, held.announcer, "one")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(held.close)
        supervisor = await stack.enter_async_context(Supervisor())
        supervisor.start("relay", held.relay.run)
        supervisor.start("announcer", held.announcer.run)
        supervisor.start("told rooms", held.announcer.run_forgetting)
        supervisor.start("puzzle events", heard.events.run)
        supervisor.start("points confirmations", heard.confirmations.run)
        supervisor.start("points events", consumer.events_consumer(held.redis, held.puzzle, held.types, "one").run)
        supervisor.start("puzzle confirmations", consumer.confirmations(held.redis, held.puzzle, "one").run)
        yield held


async def open_session(held: Resources, team_id: TeamId, number: int) -> None:
    async with held.points.transaction() as transaction:

        async def write() -> Opened:
            rules = {"countdown_ms": 0, "interval_ms": 3_600_000, "puzzle_types": QUICK}
            opened = await sessions.open_lobby(transaction, team_id, rules, KNOWN_PUZZLE_TYPES)
            await sessions.start(transaction, opened.session_id)
            return Opened(session_id=opened.session_id)

        await OncePerKey(models.Idempotency, f"{team_id}/{number}", b"").run(transaction, "host", Opened, write)


async def play_round(held: Resources, rows: Rows, teams: list[TeamId], number: int) -> None:
    """A game of each team, from its lobby to its replay."""

    def all_are(status: str) -> Callable[[], Awaitable[bool]]:
        async def counted() -> bool:
            count = rows.value("SELECT count(*) FROM points.sessions WHERE status = %s", status)
            return bool(count == len(teams))

        return counted

    async def open_puzzles() -> list[dict[str, Any]]:
        found = rows.all("SELECT * FROM puzzle.puzzles WHERE status = 'open'")
        return found if len(found) == len(teams) * PLAYERS else []

    answers = Answers(held.puzzle, held.types)
    for team_id in teams:
        await open_session(held, team_id, number)
    while not await all_are("active")():
        await settling.begin_due(held.points)
    for _ in range(ANSWERS):
        given = [
            Given(
                puzzle_id=dealt["puzzle_id"],
                player_id=dealt["player_id"],
                answer=right_answer(dealt),
                key=Key(str(dealt["player_id"]), str(dealt["puzzle_id"])),
            )
            for dealt in await until(open_puzzles)
        ]
        await asyncio.gather(*(answers.submit(answer) for answer in given))
    for row in rows.all("SELECT session_id FROM points.sessions WHERE status = 'active'"):
        async with held.points.transaction() as transaction:
            await sessions.end(transaction, row["session_id"])

    async def over() -> bool:
        await settling.settle_due(held.points, held.positions)
        return bool(rows.value("SELECT count(*) FROM points.sessions WHERE status = 'active'") == 0)

    await until(over)
    await until(lambda: nothing_under_way(held, rows))
    assert await replaying.replay_finished(held.points) == len(teams)


async def nothing_under_way(held: Resources, rows: Rows) -> bool:
    tables = ("points.outbox", "puzzle.outbox", "points.untold_rooms")
    left = [rows.value(f"SELECT count(*) FROM {table}") for table in tables]  # noqa: S608 (our own names)
    return bool(sum(left) == sum([await held.redis.xlen(stream) for stream in GROUP_OF]) == 0)


async def keep_up(held: Resources) -> None:
    """What the worker does from time to time."""
    await standings.fold(held.points)
    await retention.archive_finished(held.points, ARCHIVED_AFTER_MS)
    await retention.forget_archived(held.points, FORGOTTEN_AFTER_MS)
    await puzzle.forget_finished(held.puzzle, ARCHIVED_AFTER_MS)
    await points.forget_old(held.points)
    await puzzle.forget_old(held.puzzle)


def tables(rows: Rows) -> list[str]:
    query = "SELECT schemaname || '.' || tablename AS name FROM pg_tables WHERE schemaname IN ('points', 'puzzle')"
    return [row["name"] for row in rows.all(query) if row["name"] != BOUNDED_OTHERWISE]


async def sizes(held: Resources, rows: Rows) -> tuple[dict[str, int], dict[str, int], dict[str, int], int]:
    """Rows by table; its bytes after a vacuum; lengths of streams and how many keys Valkey has; its memory."""
    for table in tables(rows):
        rows.change(f"VACUUM {table}")
    counts = {table: rows.value(f"SELECT count(*) FROM {table}") for table in tables(rows)}  # noqa: S608 (our own names)
    size = {table: rows.value("SELECT pg_total_relation_size(%s::regclass)", table) for table in tables(rows)}

    async def no_rooms() -> bool:
        return not [key async for key in held.redis.scan_iter("baton:room:*")]

    await until(no_rooms)
    keys = {stream: await held.redis.xlen(stream) for stream in GROUP_OF}
    keys["all"] = await held.redis.dbsize()
    return counts, size, keys, (await held.redis.info("memory"))["used_memory"]


@pytest.mark.timeout(300)
async def test_sizes_are_flat_under_an_hours_worth_of_games(clean: None, database_url: str, redis_url: str) -> None:
    settings = WorkerSettings(database_url=database_url, redis_url=redis_url)
    rows = Rows(database_url)
    measured = []
    # Rooms are the only thing that time itself removes.
    async with everything(settings.model_copy(update={"finished_room_s": 1})) as held:
        teams = [await new_team(held.points, PLAYERS) for _ in range(TEAMS)]
        for number in range(ROUNDS):
            await play_round(held, rows, teams, number)
            await keep_up(held)
            for table, column in MOVED.items():
                rows.change(f"UPDATE {table} SET {column} = {column} - {ROUND_MS}")  # noqa: S608 (our own names)
            if number % 3 == 2:
                measured.append(await sizes(held, rows))
    (counts, size, keys, memory), (counts_later, size_later, keys_later, memory_later) = measured[1], measured[-1]
    assert counts["points.archived_sessions"] == 2 * TEAMS
    assert counts["points.sessions"] == counts["puzzle.sessions"] == 2 * TEAMS
    assert counts["points.session_events"] > 10 * counts["points.sessions"]
    assert counts_later == counts
    assert keys_later == keys
    assert sum(size_later.values()) <= 1.25 * sum(size.values()), (size, size_later)
    assert memory_later <= 1.1 * memory
