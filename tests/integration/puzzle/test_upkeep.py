"""What the worker has done in the puzzle service: overdue puzzles, positions, forgetting."""

import asyncio
from itertools import pairwise
from uuid import uuid4

import httpx
import pytest

from contracts.events import PuzzleExpired
from contracts.ids import PlayerId, SessionId
from services.kit.clock import local_ms
from services.kit.database import Database
from services.puzzle.repository import sessions
from services.puzzle.service import upkeep
from services.puzzle.service.upkeep import Position, expire_due
from tests.puzzle_game import TYPES, Game, Rows, answer, apply, bearer, begin, problem, right_answer

pytestmark = pytest.mark.anyio

HOUR_MS = 3_600_000


async def position(database: Database, session_id: SessionId) -> Position:
    async with database.transaction() as transaction:
        return (await upkeep.positions(transaction, [session_id]))[session_id]


async def test_an_overdue_puzzle_expires_at_its_deadline_and_the_next_is_dealt(
    database: Database, game: Game, rows: Rows
) -> None:
    overdue = rows.open_puzzle(game.players[0])
    rows.let_time_run_out(overdue["puzzle_id"])
    deadline = rows.puzzle(overdue["puzzle_id"])["deadline"]

    assert await expire_due(database, TYPES) == 1
    assert await expire_due(database, TYPES) == 0

    stored = rows.puzzle(overdue["puzzle_id"])
    assert (stored["status"], stored["closed_at"]) == ("expired", deadline)
    event = rows.events(game.session_id)[-1]
    assert isinstance(event, PuzzleExpired)
    assert (event.version, event.player_id, event.closed.closed_at) == (4, game.players[0], deadline)
    assert event.closed.solution == overdue["hidden"]
    following = rows.open_puzzle(game.players[0])
    assert event.next.puzzle_id == following["puzzle_id"]
    assert event.at == following["opened_at"] > deadline
    assert rows.open_puzzle(game.players[1])["opened_at"] < deadline


async def test_two_workers_at_once_close_every_puzzle_once(database: Database, rows: Rows) -> None:
    games = [await begin(database, Game(players=2)) for _ in range(5)]
    rows.change("UPDATE puzzle.puzzles SET deadline = opened_at")
    closed = await asyncio.gather(*(expire_due(database, TYPES) for _ in range(3)))
    closed.append(await expire_due(database, TYPES))
    assert sum(closed) == 10
    for game in games:
        assert [event.version for event in rows.events(game.session_id)] == [1, 2, 3, 4]
        assert len({row["player_id"] for row in rows.all("SELECT * FROM puzzle.puzzles WHERE status = 'open'")}) == 10


async def test_the_longest_overdue_sessions_come_first(database: Database, rows: Rows) -> None:
    late, later = [await begin(database, Game(players=1)) for _ in range(2)]
    rows.change("UPDATE puzzle.puzzles SET deadline = 1 WHERE session_id = %s", later.session_id)
    rows.change("UPDATE puzzle.puzzles SET deadline = 2 WHERE session_id = %s", late.session_id)
    assert await expire_due(database, TYPES, limit=1) == 1
    assert [len(rows.events(game.session_id)) for game in (late, later)] == [1, 2]


async def test_a_session_that_is_held_is_left_for_the_next_time(database: Database, game: Game, rows: Rows) -> None:
    rows.let_time_run_out(rows.open_puzzle(game.players[0])["puzzle_id"])
    async with database.transaction() as transaction:
        await sessions.lock(transaction, game.session_id)
        assert await expire_due(database, TYPES) == 0
    assert await expire_due(database, TYPES) == 1


async def test_a_session_that_fails_stops_no_other_and_is_reported(database: Database, rows: Rows) -> None:
    broken, sound = [await begin(database, Game(players=1)) for _ in range(2)]
    rows.change("UPDATE puzzle.sessions SET puzzle_types = '{juggling}' WHERE session_id = %s", broken.session_id)
    rows.change("UPDATE puzzle.puzzles SET deadline = 1 WHERE session_id = %s", broken.session_id)
    rows.change("UPDATE puzzle.puzzles SET deadline = 2 WHERE session_id = %s", sound.session_id)
    with pytest.raises(ExceptionGroup, match="1 of 2 sessions"):
        await expire_due(database, TYPES)
    assert [len(rows.events(game.session_id)) for game in (broken, sound)] == [1, 2]


async def test_a_session_that_the_database_refuses_spoils_no_other(database: Database, rows: Rows) -> None:
    broken, *sound = [await begin(database, Game(players=2)) for _ in range(3)]
    end_of_time = 2**63 - 1
    rows.change("UPDATE puzzle.sessions SET last_at = %s WHERE session_id = %s", end_of_time, broken.session_id)
    rows.change("UPDATE puzzle.puzzles SET deadline = 1")
    with pytest.raises(ExceptionGroup, match="1 of 3 sessions"):
        await expire_due(database, TYPES)
    assert len(rows.events(broken.session_id)) == 2
    assert [[event.version for event in rows.events(game.session_id)] for game in sound] == [[1, 2, 3, 4]] * 2


async def test_what_is_not_overdue_yet_stays_open_in_a_batch_with_a_session_that_is_ahead(
    database: Database, rows: Rows
) -> None:
    ahead, behind = [await begin(database, Game(players=1)) for _ in range(2)]
    rows.change("UPDATE puzzle.sessions SET last_at = %s WHERE session_id = %s", local_ms() + HOUR_MS, ahead.session_id)
    overdue = rows.open_puzzle(behind.players[0])["puzzle_id"]
    rows.change("UPDATE puzzle.puzzles SET deadline = 1 WHERE session_id = %s", ahead.session_id)
    assert await expire_due(database, TYPES) == 1
    assert rows.puzzle(overdue)["status"] == "open"


async def test_nothing_expires_in_a_session_that_is_over(database: Database, game: Game, rows: Rows) -> None:
    rows.let_time_run_out(rows.open_puzzle(game.players[0])["puzzle_id"])
    await apply(database, game.finished())
    assert await expire_due(database, TYPES) == 0


async def test_a_position_tells_the_last_event_and_an_instant_before_any_to_come(
    database: Database, game: Game, rows: Rows
) -> None:
    before = await position(database, game.session_id)
    assert before.version == 3
    assert abs(before.now - local_ms()) < 5_000
    rows.let_time_run_out(rows.open_puzzle(game.players[0])["puzzle_id"])
    await expire_due(database, TYPES)
    assert rows.events(game.session_id)[-1].at > before.now
    async with database.transaction() as transaction:
        known = await upkeep.positions(transaction, [game.session_id, SessionId(uuid4())])
    assert [found.version for found in known.values()] == [4]


async def test_a_position_holds_also_where_the_clock_is_set_back(database: Database, game: Game, rows: Rows) -> None:
    ahead = local_ms() + HOUR_MS
    rows.change("UPDATE puzzle.sessions SET last_at = %s", ahead)
    rows.change("UPDATE puzzle.puzzles SET deadline = %s", ahead)
    told = await position(database, game.session_id)
    rows.change("UPDATE puzzle.puzzles SET deadline = 1")
    await expire_due(database, TYPES)
    assert {event.at for event in rows.events(game.session_id) if event.version > told.version} == {ahead}
    assert told.now < ahead


@pytest.fixture
async def crowd(database: Database) -> Game:
    return await begin(database, Game(players=8, types=["memory"]))


async def test_positions_hold_while_answers_come_in(
    client: httpx.AsyncClient, database: Database, crowd: Game, rows: Rows
) -> None:
    told: list[Position] = []
    answering = True

    async def play(player_id: PlayerId) -> None:
        for _ in range(4):
            puzzle = rows.open_puzzle(player_id)
            await answer(client, crowd, puzzle["player_id"], puzzle["puzzle_id"], right_answer(puzzle))

    async def ask() -> None:
        while answering:
            told.append(await position(database, crowd.session_id))

    asking = asyncio.create_task(ask())
    await asyncio.gather(*(play(player_id) for player_id in crowd.players))
    answering = False
    await asking

    events = rows.events(crowd.session_id)
    assert [event.version for event in events] == list(range(1, 41))
    assert all(before.at <= after.at for before, after in pairwise(events))
    assert len(told) > 3
    for now, version in told:
        assert all(event.version <= version for event in events if event.at <= now)
        assert all(event.at <= now + 1 for event in events if event.version <= version)


async def test_what_was_remembered_long_enough_is_forgotten(
    client: httpx.AsyncClient, database: Database, game: Game, rows: Rows
) -> None:
    puzzles = [rows.open_puzzle(player) for player in game.players]
    for puzzle in puzzles:
        key = str(puzzle["puzzle_id"])
        await answer(client, game, puzzle["player_id"], key, right_answer(puzzle), Idempotency_Key=key)
    rows.change(
        "INSERT INTO puzzle.dead_letters VALUES ('dead', '', '', '', 5, 1, 1), ('overcome', '', '', '', 1, 1, NULL)"
    )
    assert await upkeep.forget_old(database) == 1
    rows.change("UPDATE puzzle.idempotency SET created_at = 1 WHERE key = %s", str(puzzles[0]["puzzle_id"]))
    assert await upkeep.forget_old(database) == 1
    assert rows.one("SELECT count(*) FROM puzzle.idempotency")["count"] == 2
    assert rows.one("SELECT entry_key FROM puzzle.dead_letters")["entry_key"] == "dead"


async def test_a_session_that_ended_long_ago_is_forgotten_once_points_has_confirmed_everything(
    client: httpx.AsyncClient, database: Database, game: Game, rows: Rows
) -> None:
    puzzle = rows.open_puzzle(game.players[0])
    other = await begin(database, Game(players=2))
    await apply(database, game.finished())
    assert await upkeep.forget_finished(database, -60_000) == 0
    rows.change("DELETE FROM puzzle.outbox")
    assert await upkeep.forget_finished(database, 60_000) == 0
    done = await asyncio.gather(*(upkeep.forget_finished(database, -60_000) for _ in range(2)))
    assert sum(done) == 1
    for table, count in (("sessions", 1), ("players", 2), ("puzzles", 2)):
        left = rows.all(f"SELECT session_id FROM puzzle.{table}")  # noqa: S608 (our own names)
        assert [row["session_id"] for row in left] == [other.session_id] * count

    late = await answer(client, game, game.players[0], puzzle["puzzle_id"], right_answer(puzzle))
    assert problem(late) == (404, "puzzle_not_found")
    asked = await client.get(f"/players/{game.players[0]}/puzzle", headers=bearer(game.token(game.players[0])))
    assert problem(asked) == (404, "no_open_puzzle")
