"""One answer's way through points comes by every point at which a process can be told to die."""

import httpx
import pytest
from redis.asyncio import Redis

from contracts.channels import POINTS_CONFIRMATIONS, POINTS_EVENTS
from contracts.events import Confirmation, decode_points_event, encode
from services.kit import crash_points
from services.kit.database import Database
from tests.integration.points.streams import confirmed, send
from tests.points_game import begin, until

pytestmark = pytest.mark.anyio


async def test_every_crash_point_is_reached_by_one_answer(
    client: httpx.AsyncClient, database: Database, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: set[str] = set()
    monkeypatch.setattr(crash_points, "_on_pass", reached.add)
    game = await begin(client, database)
    await send(redis, [answered := game.puzzles.solved(game.players[0], game.started_at + 1)])
    await until(lambda: _is_confirmed(redis, answered.event_id))
    [(_, fields), *_] = await until(lambda: redis.xrange(POINTS_EVENTS))
    event = decode_points_event(fields[b"e"])
    await redis.xadd(POINTS_CONFIRMATIONS, {"e": encode(Confirmation(event_id=event.event_id))})

    async def all_points_reached() -> bool:
        return reached == crash_points.POINTS

    await until(all_points_reached)


async def _is_confirmed(redis: Redis, event_id: object) -> bool:
    return event_id in await confirmed(redis)
