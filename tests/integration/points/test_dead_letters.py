"""Events that cannot be applied: given up after bounded tries, seen, and brought back once."""

import httpx
import pytest
from redis.asyncio import Redis

from services.kit.database import Database
from services.kit.dead_letters import MAX_TRIES
from tests.integration.points.streams import all_handled, confirmed, send
from tests.integration.points.test_consumer import applied
from tests.points_game import Game, Rows, begin, until

pytestmark = pytest.mark.anyio


async def poison(rows: Rows, game: Game) -> list[object]:
    """Two events, of which the first cannot be applied: its ledger entry is there already."""
    events = [game.puzzles.solved(game.players[0], game.started_at + 1)]
    events.append(game.puzzles.solved(game.players[0], game.started_at + 2))
    key = f"solve:{game.session_id}:{events[0].closed.puzzle_id}"
    rows.change(
        "INSERT INTO points.ledger (session_id, key, at, kind, amount) VALUES (%s, %s, 0, 'award', 5)",
        game.session_id,
        key,
    )
    return list(events)


async def test_a_poisoned_event_is_given_up_and_those_behind_it_take_effect(
    client: httpx.AsyncClient, database: Database, redis: Redis, rows: Rows
) -> None:
    game = await begin(client, database, players=2)
    events = await poison(rows, game)
    await send(redis, events)  # type: ignore[arg-type]
    await until(lambda: applied(rows, game, 2))
    await until(lambda: all_handled(redis))
    letter = rows.one("SELECT * FROM points.dead_letters")
    assert letter["tries"] == MAX_TRIES
    assert letter["dead_at"] is not None
    assert "ledger_key_key" in letter["error"]
    assert (await game.state()).players[1].base == 20
    assert len(await confirmed(redis)) == 2  # it would be sent again for ever otherwise
