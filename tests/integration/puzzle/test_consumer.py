"""What points tells over Valkey takes effect here, once and in order, whatever Valkey does with it."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from baton.servers import Valkey
from contracts.channels import (
    POINTS_CONFIRMATIONS,
    POINTS_EVENTS,
    PUZZLE_CONFIRMATIONS,
    PUZZLE_EVENTS,
    PUZZLE_GROUP,
)
from contracts.events import (
    Confirmation,
    PointsEvent,
    decode_confirmation,
    decode_puzzle_event,
    encode,
)
from contracts.ids import EventId
from services.kit.database import Database
from services.kit.outbox import Relay
from services.kit.redis_client import ValkeyClient, connect
from services.puzzle.service import upkeep
from services.puzzle.service.failures import retry_dead_letters
from tests.puzzle_game import TYPES, Game, Rows, answer, begin, right_answer

pytestmark = pytest.mark.anyio


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[ValkeyClient]:
    client = connect(redis_url)
    yield client
    await client.aclose()


async def until(condition: Callable[[], Any]) -> Any:
    """What the condition returns as soon as it is true."""
    async with asyncio.timeout(20):
        while True:
            result = condition()
            if inspect.isawaitable(result):
                result = await result
            if result:
                return result
            await asyncio.sleep(0.01)


async def tell(redis: Redis, *events: PointsEvent) -> None:
    for event in events:
        await redis.xadd(POINTS_EVENTS, {"e": encode(event)})


async def entries(redis: Redis, stream: str) -> list[bytes]:
    found: Any = await redis.xrange(stream)
    return [fields[b"e"] for _, fields in found]


async def pending(redis: Redis) -> int:
    summary: Any = await redis.xpending(POINTS_EVENTS, PUZZLE_GROUP)
    return int(summary["pending"])


async def confirmed(redis: Redis) -> set[EventId]:
    return {decode_confirmation(entry).event_id for entry in await entries(redis, POINTS_CONFIRMATIONS)}


def statuses(rows: Rows, game: Game) -> list[str]:
    query = "SELECT status FROM puzzle.sessions WHERE session_id = %s"
    return [row["status"] for row in rows.all(query, game.session_id)]


async def test_a_session_is_followed_from_its_countdown_to_its_end(
    client: httpx.AsyncClient, redis: Redis, rows: Rows
) -> None:
    game = Game()
    events: list[PointsEvent] = [game.countdown(), game.started(), game.eliminated(game.players[0]), game.finished()]
    await tell(redis, *events)

    await until(lambda: statuses(rows, game) == ["finished"])
    await until(lambda: rows.one("SELECT points_version FROM puzzle.sessions")["points_version"] == 4)

    async def all_are_confirmed() -> bool:
        return await confirmed(redis) == {event.event_id for event in events}

    await until(all_are_confirmed)
    assert rows.all("SELECT 1 FROM puzzle.puzzles WHERE status = 'open'") == []
    told = [decode_puzzle_event(entry) for entry in await entries(redis, PUZZLE_EVENTS)]
    assert [event.version for event in told] == [1, 2, 3]


async def test_events_that_come_twice_or_too_early_take_effect_once_and_in_order(
    client: httpx.AsyncClient, redis: Redis, rows: Rows
) -> None:
    game = Game(players=2)
    countdown, started, out = game.countdown(), game.started(), game.eliminated(game.players[0])
    await tell(redis, out, started, started, countdown, out, countdown, started)

    await until(lambda: rows.all("SELECT 1 FROM puzzle.sessions WHERE points_version = 3"))

    async def none_is_pending() -> bool:
        return await pending(redis) == 0

    await until(none_is_pending)
    assert rows.one("SELECT count(*) FROM puzzle.puzzles")["count"] == 2
    assert [event.version for event in rows.events(game.session_id)] == [1, 2]


async def test_an_answer_is_sent_at_once_and_forgotten_when_points_confirms_it(
    client: httpx.AsyncClient, database: Database, redis: Redis, rows: Rows
) -> None:
    game = await begin(database, Game(players=1))
    puzzle = rows.open_puzzle(game.players[0])
    await answer(client, game, game.players[0], puzzle["puzzle_id"], right_answer(puzzle))
    answered = rows.events(game.session_id)[-1]

    async def it_was_sent() -> bool:
        return encode(answered) in await entries(redis, PUZZLE_EVENTS)

    await until(it_was_sent)

    confirmation = encode(Confirmation(event_id=answered.event_id))
    await redis.xadd(PUZZLE_CONFIRMATIONS, {"e": confirmation})
    await redis.xadd(PUZZLE_CONFIRMATIONS, {"e": confirmation})
    await until(lambda: [event.version for event in rows.events(game.session_id)] == [1])


async def test_what_valkey_forgot_is_sent_again_in_order_until_it_is_confirmed(
    client: httpx.AsyncClient, redis: Redis, rows: Rows, database_url: str, valkey: Valkey
) -> None:
    relay = Relay(redis)
    database = Database(database_url, "baton_puzzle", deliver=relay.send)
    game = await begin(database, Game(players=3))
    await relay.flush()
    assert len(await entries(redis, PUZZLE_EVENTS)) == 3
    valkey.flush()
    assert await upkeep.sweep(database) == 0, "nothing is due yet"
    for _ in range(2):
        rows.change("UPDATE puzzle.outbox SET next_try_at = 0")
        assert await upkeep.sweep(database) == 3
    await relay.flush()
    told = [decode_puzzle_event(entry) for entry in await entries(redis, PUZZLE_EVENTS)]
    assert [event.version for event in told] == [1, 2, 3, 1, 2, 3]
    await database.close()

    # The consumer goes on in the emptied Valkey, too.
    await tell(redis, game.finished())
    await until(lambda: statuses(rows, game) == ["finished"])


async def test_an_event_that_cannot_be_applied_is_put_aside_after_five_tries(
    client: httpx.AsyncClient, database: Database, redis: Redis, rows: Rows
) -> None:
    game = Game(players=2, types=["juggling"])
    out = game.players[0]
    await tell(redis, game.countdown(), game.started(), game.eliminated(out))
    other = Game(players=1)
    await tell(redis, other.countdown(), other.started())

    await until(lambda: statuses(rows, other) == ["active"])
    await until(lambda: rows.all("SELECT 1 FROM puzzle.dead_letters WHERE dead_at IS NOT NULL"))
    await until(lambda: rows.all("SELECT 1 FROM puzzle.players WHERE eliminated_at IS NOT NULL"))
    dead = rows.one("SELECT * FROM puzzle.dead_letters")
    assert (dead["tries"], dead["stream"]) == (5, POINTS_EVENTS)
    assert "juggling" in dead["error"]
    assert statuses(rows, game) == ["countdown"]

    assert await retry_dead_letters(database, TYPES) == 0
    rows.change("UPDATE puzzle.sessions SET puzzle_types = '{memory}' WHERE session_id = %s", game.session_id)
    assert await retry_dead_letters(database, TYPES) == 1
    assert rows.all("SELECT * FROM puzzle.dead_letters") == []
    assert statuses(rows, game) == ["active"]
    assert [event.player_id for event in rows.events(game.session_id)] == [game.players[1]]


async def test_an_entry_that_cannot_be_read_is_put_aside_at_once_and_holds_nobody_up(
    client: httpx.AsyncClient, redis: Redis, rows: Rows
) -> None:
    await redis.xadd(POINTS_EVENTS, {"e": b"no json \x00"})
    await redis.xadd(POINTS_EVENTS, {"something": "else"})
    await redis.xadd(POINTS_EVENTS, {"e": b'{"type": "session.paused", "event_id": 1}'})
    game = Game()
    await tell(redis, game.countdown())

    await until(lambda: statuses(rows, game) == ["countdown"])
    dead = await until(lambda: len(found := rows.all("SELECT * FROM puzzle.dead_letters")) == 3 and found)
    assert {letter["tries"] for letter in dead} == {1}
    assert all(letter["dead_at"] for letter in dead)


async def test_a_confirmation_that_cannot_be_read_keeps_none_from_being_heard(
    client: httpx.AsyncClient, database: Database, redis: Redis, rows: Rows
) -> None:
    game = await begin(database, Game(players=1))
    [event] = rows.events(game.session_id)
    for payload in (b"no json \x00", b"{}", encode(Confirmation(event_id=event.event_id))):
        await redis.xadd(PUZZLE_CONFIRMATIONS, {"e": payload})
    await until(lambda: rows.events(game.session_id) == [])
