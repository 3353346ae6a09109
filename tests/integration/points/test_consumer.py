"""⑤ The puzzle service's events through a real stream: each once, in its session's order, whatever happens to it."""

import random
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from contracts.channels import POINTS_GROUP, PUZZLE_EVENTS
from contracts.events import PuzzleEvent, encode
from contracts.rooms import State
from services.kit import streams
from services.kit.database import Database
from services.points.domain.views import public_state
from services.points.main import application
from services.points.service import games as games_service
from services.points.settings import PointsSettings
from tests.integration.points.streams import all_handled, confirmed, pending, send
from tests.points_game import Game, Rows, begin, running, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Early events wait for long: in these tests there is no producer that sends them again."""
    monkeypatch.setattr(streams, "HOLD_S", 60.0)


def counted(name: str) -> float:
    return REGISTRY.get_sample_value(f"baton_{name}_total", {"stream": PUZZLE_EVENTS}) or 0.0


def some_events(game: Game, count: int, chance: random.Random) -> list[PuzzleEvent]:
    """So many events of random players, as the puzzle service numbers them."""
    make: list[Callable[..., PuzzleEvent]] = [
        game.puzzles.solved,
        game.puzzles.solved,
        game.puzzles.failed,
        game.puzzles.expired,
    ]
    return [
        chance.choice(make)(chance.choice(game.players), game.started_at + number) for number in range(1, count + 1)
    ]


async def expected(database: Database, game: Game, events: list[PuzzleEvent]) -> State:
    """The state after the events, applied one after the other by the rules alone."""
    async with database.transaction() as transaction:
        alone = await games_service.get(transaction, game.session_id)
    for event in events:
        alone.apply(event)
    return public_state(alone)


async def applied(rows: Rows, game: Game, version: int) -> bool:
    found = rows.value("SELECT puzzle_version FROM points.sessions WHERE session_id = %s", game.session_id)
    return bool(found == version)


@pytest.mark.usefixtures("patient")
async def test_events_take_effect_once_though_delivered_often_and_in_any_order(
    client: httpx.AsyncClient, database: Database, redis: Redis, rows: Rows
) -> None:
    chance = random.Random(7)
    games = [await begin(client, database, penalty=1) for _ in range(3)]
    events = {game.session_id: some_events(game, 15, chance) for game in games}
    states = [await expected(database, game, events[game.session_id]) for game in games]
    deliveries = [event for all_ in events.values() for event in all_ for _ in range(chance.randint(1, 5))]
    chance.shuffle(deliveries)

    await send(redis, deliveries)
    for game in games:
        await until(lambda game=game: applied(rows, game, 15))  # type: ignore[misc]  # mypy infers no lambda defaults
    await until(lambda: all_handled(redis))

    for game, state in zip(games, states, strict=True):
        assert await game.state() == state == rows.replayed(game.session_id)
    assert await confirmed(redis) == {event.event_id for event in deliveries}


async def test_an_event_that_is_too_early_waits_for_the_one_before_it(
    client: httpx.AsyncClient, database: Database, redis: Redis, rows: Rows
) -> None:
    game = await begin(client, database)
    first, second = some_events(game, 2, random.Random(1))
    early = counted("consumed_early")
    await send(redis, [second])
    await until(lambda: _true(counted("consumed_early") > early))
    assert await applied(rows, game, 0)
    assert await pending(redis) == 1
    assert await confirmed(redis) == set()
    await send(redis, [first])
    await until(lambda: applied(rows, game, 2))
    await until(lambda: all_handled(redis))
    assert await confirmed(redis) == {first.event_id, second.event_id}


async def _true(condition: bool) -> bool:
    return condition


async def test_what_waited_too_long_is_left_to_be_sent_again_and_is_never_confirmed(
    client: httpx.AsyncClient, database: Database, redis: Redis, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HOLD_S", 0.05)
    game = await begin(client, database)
    first, second = some_events(game, 2, random.Random(1))
    await send(redis, [second])
    await until(lambda: all_handled(redis))
    assert await confirmed(redis) == set()
    assert await applied(rows, game, 0)
    await send(redis, [first, second])
    await until(lambda: applied(rows, game, 2))


async def test_events_wait_while_no_points_service_runs(
    app: FastAPI, settings: PointsSettings, database: Database, redis: Redis, rows: Rows
) -> None:
    async with running(app) as client:
        game = await begin(client, database)
    await send(redis, some_events(game, 5, random.Random(2)))
    assert await applied(rows, game, 0)
    async with running(application(settings)):
        await until(lambda: applied(rows, game, 5))


async def test_a_process_goes_on_with_what_it_was_given_before_it_died(
    app: FastAPI, settings: PointsSettings, database: Database, redis: Redis, rows: Rows
) -> None:
    async with running(app) as client:
        game = await begin(client, database)
        name = (await redis.xinfo_consumers(PUZZLE_EVENTS, POINTS_GROUP))[0]["name"]
    await send(redis, some_events(game, 3, random.Random(2)))
    given: Any = await redis.xreadgroup(POINTS_GROUP, name, {PUZZLE_EVENTS: ">"})
    assert len(given[0][1]) == await pending(redis) == 3
    async with running(application(settings)):
        await until(lambda: applied(rows, game, 3))
        await until(lambda: all_handled(redis))


async def test_what_a_dead_consumer_was_given_is_taken_over(
    client: httpx.AsyncClient, database: Database, redis: Redis, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "CLAIM_IDLE_MS", 1)
    monkeypatch.setattr(streams, "CLAIM_EVERY_S", 0.05)
    game = await begin(client, database)
    async with redis.pipeline(transaction=True) as pipeline:  # as one step, so that nobody else is given it first
        for event in some_events(game, 3, random.Random(2)):
            pipeline.xadd(PUZZLE_EVENTS, {"e": encode(event)})
        pipeline.xreadgroup(POINTS_GROUP, "a-machine-that-burnt-down", {PUZZLE_EVENTS: ">"})
        given = (await pipeline.execute())[-1]
    assert len(given[0][1]) == 3
    await until(lambda: applied(rows, game, 3))
    await until(lambda: all_handled(redis))


@pytest.mark.usefixtures("patient")
async def test_two_processes_share_the_stream(
    settings: PointsSettings, database: Database, redis: Redis, rows: Rows, clean: None
) -> None:
    chance = random.Random(3)
    other = settings.model_copy(update={"port": settings.port + 100})
    async with running(application(settings)) as client, running(application(other)):
        games = [await begin(client, database, players=2) for _ in range(2)]
        events = {game.session_id: some_events(game, 10, chance) for game in games}
        states = [await expected(database, game, events[game.session_id]) for game in games]
        deliveries = [event for all_ in events.values() for event in [*all_, *all_]]
        chance.shuffle(deliveries)
        await send(redis, deliveries)
        for game in games:
            await until(lambda game=game: applied(rows, game, 10))  # type: ignore[misc]  # as above
        for game, state in zip(games, states, strict=True):
            assert await game.state() == state == rows.replayed(game.session_id)
        assert len(await redis.xinfo_consumers(PUZZLE_EVENTS, POINTS_GROUP)) == 2
        await until(lambda: all_handled(redis))


async def test_a_stream_that_was_lost_is_begun_again(
    client: httpx.AsyncClient, database: Database, redis: Redis, rows: Rows
) -> None:
    game = await begin(client, database)
    first, second, third = some_events(game, 3, random.Random(4))
    await send(redis, [first])
    await until(lambda: applied(rows, game, 1))
    await redis.flushall()
    await send(redis, [second])
    await until(lambda: applied(rows, game, 2))
    async with redis.pipeline(transaction=True) as pipeline:  # lost and added to before anybody noticed
        pipeline.flushall()
        pipeline.xadd(PUZZLE_EVENTS, {"e": encode(third)})
        await pipeline.execute()
    await until(lambda: applied(rows, game, 3))


async def test_an_event_of_a_session_that_ended_is_void_and_no_harm(
    client: httpx.AsyncClient, database: Database, redis: Redis, rows: Rows
) -> None:
    game = await begin(client, database, players=2, start_points=1, interval_ms=250)
    late = game.puzzles.solved(game.players[0], game.started_at + 300)
    await send(redis, [late])
    await until(lambda: applied(rows, game, 1))
    [void] = [entry for entry in rows.ledger(game.session_id) if entry["kind"] == "void"]
    assert (void["reason"], void["amount"], void["at"]) == ("solver_out", 0, late.at)
    state = await game.state()
    assert (state.survival_ms, [player.solved for player in state.players]) == (250, [0, 0])


async def test_events_of_other_sessions_do_not_wait_for_one_that_does(
    client: httpx.AsyncClient, database: Database, redis: Redis, rows: Rows
) -> None:
    stuck, free = await begin(client, database), await begin(client, database)
    await send(redis, some_events(stuck, 2, random.Random(5))[1:])
    await send(redis, some_events(free, 2, random.Random(5)))
    await until(lambda: applied(rows, free, 2))
    assert await applied(rows, stuck, 0)


async def test_the_points_service_does_not_care_for_events_that_are_newer_than_it(
    client: httpx.AsyncClient, database: Database, redis: Redis, rows: Rows
) -> None:
    """A producer may add fields."""
    game = await begin(client, database)
    [event] = some_events(game, 1, random.Random(6))
    payload = encode(event)[:-1] + b',"a_new_field":' + str(uuid4().int).encode() + b"}"
    await redis.xadd(PUZZLE_EVENTS, {"e": payload})
    await until(lambda: applied(rows, game, 1))
