"""Events that cannot be applied: given up after bounded tries, seen, and brought back once."""

import asyncio

import httpx
import pytest
from redis.asyncio import Redis

from contracts.channels import PUZZLE_EVENTS, ROOM_REQUESTS
from contracts.events import PuzzleAnswered, encode
from services.kit.database import Database
from services.kit.dead_letters import MAX_TRIES
from services.points.service import upkeep
from tests.direct import change_schema
from tests.integration.points.streams import all_handled, confirmed, send
from tests.points_game import Game, Rows, begin, until

pytestmark = pytest.mark.anyio


def poison(rows: Rows, game: Game) -> PuzzleAnswered:
    """An event that cannot be applied, because somebody has put its entry into the ledger already."""
    event = game.puzzles.solved(game.players[0], game.started_at + 1)
    key = f"solve:{game.session_id}:{event.closed.puzzle_id}"
    rows.change(
        "INSERT INTO points.ledger (session_id, key, at, kind, amount) VALUES (%s, %s, 0, 'wrong', 5)",
        game.session_id,
        key,
    )
    return event


def cure(rows: Rows) -> None:
    rows.change("DELETE FROM points.ledger WHERE kind = 'wrong'")


async def base(game: Game) -> int:
    """The second player's points; both events of these tests are for them."""
    return (await game.state()).players[1].base


async def test_a_poisoned_event_is_given_up_and_those_behind_it_take_effect(
    client: httpx.AsyncClient, database: Database, redis: Redis, rows: Rows
) -> None:
    game = await begin(client, database, players=2)
    poisoned = poison(rows, game)
    good = game.puzzles.solved(game.players[0], game.started_at + 2)
    await send(redis, [poisoned, good])
    await until(lambda: all_handled(redis))
    letter = rows.one("SELECT * FROM points.dead_letters")
    assert (letter["entry_key"], letter["stream"]) == (str(poisoned.event_id), PUZZLE_EVENTS)
    assert letter["tries"] == MAX_TRIES
    assert letter["dead_at"] is not None
    assert "ledger_key_key" in letter["error"]
    assert await base(game) == 20
    # Otherwise the producer would send it again for ever.
    assert await confirmed(redis) == {poisoned.event_id, good.event_id}


async def test_what_was_given_up_can_be_brought_back_once(
    client: httpx.AsyncClient, database: Database, redis: Redis, rows: Rows
) -> None:
    game = await begin(client, database, players=2)
    await send(redis, [poison(rows, game), game.puzzles.solved(game.players[0], game.started_at + 2)])
    await until(lambda: all_handled(redis))
    assert await upkeep.retry_dead_letters(database) == 0
    assert rows.value("SELECT count(*) FROM points.dead_letters") == 1

    cure(rows)
    retries = await asyncio.gather(*(upkeep.retry_dead_letters(database) for _ in range(3)))
    assert sum(retries) == 1
    assert await base(game) == 25
    assert rows.value("SELECT count(*) FROM points.dead_letters") == 0
    assert await upkeep.retry_dead_letters(database) == 0
    assert await game.state() == rows.replayed(game.session_id)


async def test_a_copy_of_what_was_given_up_changes_nothing(
    client: httpx.AsyncClient, database: Database, redis: Redis, rows: Rows
) -> None:
    game = await begin(client, database, players=2)
    poisoned = poison(rows, game)
    await send(redis, [poisoned])
    await until(lambda: all_handled(redis))
    cure(rows)
    await send(redis, [poisoned])
    await until(lambda: all_handled(redis))
    assert await base(game) == 15
    assert await upkeep.retry_dead_letters(database) == 1
    assert await base(game) == 20


async def test_an_event_of_an_unknown_session_is_given_up(
    client: httpx.AsyncClient, database: Database, redis: Redis, rows: Rows
) -> None:
    game = await begin(client, database, players=2)
    rows.change("UPDATE points.sessions SET puzzle_version = 0")
    event = game.puzzles.solved(game.players[0], game.started_at + 1)
    for table in ("session_events", "seats", "sessions"):
        rows.change(f"DELETE FROM points.{table}")  # noqa: S608 (names of tables, from the line above)
    await send(redis, [event])
    await until(lambda: all_handled(redis))
    assert "UnknownSession" in rows.value("SELECT error FROM points.dead_letters WHERE dead_at IS NOT NULL")


@pytest.mark.parametrize(
    "fields",
    [
        {"e": b"garbage"},
        {"e": b""},
        {"e": b"\xff\xfe\x00"},
        {"e": b"[]"},
        {"e": b"{}"},
        {"e": b'{"type": "puzzle.stolen"}'},
        {"e": b'{"type": "puzzle.answered", "event_id": 5}'},
        {"another": b"field"},
    ],
)
async def test_an_entry_that_is_no_event_is_put_aside_at_once(
    client: httpx.AsyncClient, database: Database, redis: Redis, rows: Rows, fields: dict[str, bytes]
) -> None:
    game = await begin(client, database, players=2)
    await redis.xadd(PUZZLE_EVENTS, fields)  # type: ignore[arg-type]  # redis declares dicts of unions as invariant
    await send(redis, [game.puzzles.solved(game.players[0], game.started_at + 1)])
    await until(lambda: all_handled(redis))
    letter = rows.one("SELECT * FROM points.dead_letters")
    assert (letter["tries"], letter["payload"]) == (1, fields.get("e", b""))
    assert await base(game) == 20


async def test_a_request_for_a_room_that_is_none_is_put_aside_too(
    client: httpx.AsyncClient, redis: Redis, rows: Rows
) -> None:
    await redis.xadd(ROOM_REQUESTS, {"e": b"garbage"})
    await redis.xadd(ROOM_REQUESTS, {"e": b'{"session_id": "garbage"}'})

    async def both_buried() -> bool:
        return bool(rows.value("SELECT count(*) FROM points.dead_letters WHERE stream = %s", ROOM_REQUESTS) == 2)

    await until(both_buried)


async def test_a_database_that_is_away_for_a_moment_makes_no_dead_letter(
    client: httpx.AsyncClient, database: Database, redis: Redis, rows: Rows
) -> None:
    """What is the fault of the moment is not counted against the event."""
    game = await begin(client, database, players=2)
    event = game.puzzles.solved(game.players[0], game.started_at + 1)
    await change_schema(rows, "ALTER TABLE points.seats RENAME TO seats_elsewhere")
    await change_schema(
        rows,
        """
        CREATE FUNCTION points.away() RETURNS SETOF points.seats_elsewhere LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'away' USING ERRCODE = '57P01'; END $$
        """,
    )
    await change_schema(rows, "CREATE VIEW points.seats AS SELECT * FROM points.away()")
    await change_schema(rows, "GRANT SELECT ON points.seats TO baton_points")
    try:
        await redis.xadd(PUZZLE_EVENTS, {"e": encode(event)})

        async def was_restarted() -> bool:
            ready = (await client.get("/readyz")).json()
            return "task puzzle events" in ready["degraded"]

        await until(was_restarted)
        assert rows.value("SELECT count(*) FROM points.dead_letters") == 0
    finally:
        await change_schema(rows, "DROP VIEW points.seats")
        await change_schema(rows, "DROP FUNCTION points.away()")
        await change_schema(rows, "ALTER TABLE points.seats_elsewhere RENAME TO seats")
    await until(lambda: all_handled(redis))
    assert await base(game) == 20
