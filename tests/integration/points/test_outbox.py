"""③ Events for the puzzle service: sent, sent again until it confirms, in the order of their session."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from contracts.channels import POINTS_CONFIRMATIONS, POINTS_EVENTS
from contracts.events import Confirmation, PointsEvent, decode_points_event, encode
from contracts.ids import EventId
from services.kit.database import Database
from services.kit.outbox import FIRST_RETRY_MS, LONGEST_RETRY_MS, Outgoing
from services.points.service import upkeep
from tests.points_game import Rows, Team, begin, until

pytestmark = pytest.mark.anyio


async def on_stream(redis: Redis) -> list[PointsEvent]:
    entries: Any = await redis.xrange(POINTS_EVENTS)
    return [decode_points_event(fields[b"e"]) for _, fields in entries]


def make_due(rows: Rows) -> None:
    rows.change("UPDATE points.outbox SET next_try_at = next_try_at - 100000")


class Posted:
    """A database of which one can see what was handed on after the commit."""

    def __init__(self, url: str) -> None:
        self.events: list[PointsEvent] = []
        self.database = Database(url, "baton_points", deliver=self._deliver, pool_size=4)

    def _deliver(self, posted: Sequence[Any]) -> None:
        self.events += [decode_points_event(message.payload) for message in posted if isinstance(message, Outgoing)]


async def test_a_start_is_sent_at_once(client: httpx.AsyncClient, redis: Redis) -> None:
    team = await Team.make(client, 2)
    session_id = await team.open()
    await team.start(session_id)
    await until(lambda: on_stream(redis))
    [event] = await on_stream(redis)
    assert (event.session_id, event.version) == (session_id, 1)


async def test_what_was_not_confirmed_is_sent_again_in_its_order_and_later_each_time(
    client: httpx.AsyncClient, database: Database, rows: Rows, database_url: str
) -> None:
    for _ in range(2):
        await begin(client, database, players=1)
    posted = Posted(database_url)
    assert await upkeep.sweep(posted.database) == 0  # too soon
    waits = []
    for _ in range(6):
        make_due(rows)
        posted.events.clear()
        assert await upkeep.sweep(posted.database) == 4
        versions: dict[Any, list[int]] = {}
        for event in posted.events:
            versions.setdefault(event.session_id, []).append(event.version)
        assert list(versions.values()) == [[1, 2], [1, 2]]
        now = rows.value("SELECT extract(epoch FROM now()) * 1000")
        waits.append(rows.value("SELECT min(next_try_at) FROM points.outbox") - now)
    assert 0 < waits[0] <= FIRST_RETRY_MS
    assert FIRST_RETRY_MS < waits[1] <= 2 * FIRST_RETRY_MS
    assert LONGEST_RETRY_MS / 2 < waits[-1] <= LONGEST_RETRY_MS
    await posted.database.close()


async def test_one_late_event_brings_those_behind_it_along(
    client: httpx.AsyncClient, database: Database, rows: Rows, database_url: str
) -> None:
    await begin(client, database, players=1)
    rows.change("UPDATE points.outbox SET next_try_at = 0 WHERE version = 1")
    posted = Posted(database_url)
    await upkeep.sweep(posted.database)
    assert [event.version for event in posted.events] == [1, 2]
    await posted.database.close()


async def test_sweepers_side_by_side_do_not_send_the_same_rows(
    client: httpx.AsyncClient, database: Database, rows: Rows, database_url: str
) -> None:
    for _ in range(3):
        await begin(client, database, players=1)
    make_due(rows)
    sweepers = [Posted(database_url) for _ in range(2)]
    swept = await asyncio.gather(*(upkeep.sweep(sweeper.database) for sweeper in sweepers))
    assert sum(swept) == 6
    for sweeper in sweepers:
        await sweeper.database.close()


async def test_a_confirmation_ends_it_and_a_second_one_or_nonsense_changes_nothing(
    client: httpx.AsyncClient, database: Database, redis: Redis, rows: Rows
) -> None:
    await begin(client, database, players=1)
    await until(lambda: on_stream(redis))
    first = rows.value("SELECT event_id FROM points.outbox WHERE version = 1")
    for confirmation in (b"garbage", *2 * [encode(Confirmation(event_id=EventId(first)))]):
        await redis.xadd(POINTS_CONFIRMATIONS, {"e": confirmation})

    async def only_the_second_is_left() -> bool:
        return [row["version"] for row in rows.all("SELECT version FROM points.outbox")] == [2]

    await until(only_the_second_is_left)


async def test_what_valkey_lost_is_sent_again(
    client: httpx.AsyncClient, database: Database, redis: Redis, rows: Rows
) -> None:
    team = await Team.make(client, 1)
    await team.start(await team.open())
    await until(lambda: on_stream(redis))
    await redis.flushall()
    make_due(rows)
    app_database = client._transport.app.state.database  # type: ignore[attr-defined]  # the service's own, with its relay
    await upkeep.sweep(app_database)
    await until(lambda: on_stream(redis))
    assert [event.version for event in await on_stream(redis)] == [1]
