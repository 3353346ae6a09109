"""⑤ Events that arrive together take effect in one transaction, and none of them spoils its neighbours."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import httpx
import msgspec
import pytest
from redis.asyncio import Redis

from contracts.channels import PUZZLE_EVENTS
from contracts.events import PuzzleEvent, encode
from contracts.ids import PlayerId, SessionId
from services.kit import streams
from services.kit.database import Database
from services.kit.streams import Outcome
from services.points.repository import games as repository
from services.points.service import answers
from tests.direct import change_schema
from tests.integration.points.streams import all_handled, confirmed
from tests.integration.points.test_dead_letters import poison
from tests.points_game import Game, Rows, begin, until

pytestmark = pytest.mark.anyio


async def together(redis: Redis, events: Sequence[PuzzleEvent]) -> None:
    """Put events on the stream so that a consumer is given all of them at once."""
    async with redis.pipeline(transaction=True) as pipeline:
        for event in events:
            pipeline.xadd(PUZZLE_EVENTS, {"e": encode(event)})
        await pipeline.execute()


def solved(game: Game, count: int) -> list[PuzzleEvent]:
    """The first player solves so many puzzles; the points are the second player's."""
    return [game.puzzles.solved(game.players[0], game.started_at + number) for number in range(1, count + 1)]


async def base(game: Game) -> int:
    return (await game.state()).players[1].base


async def test_events_of_many_sessions_take_effect_in_one_transaction_each_in_its_session_s_order(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    first, second = await begin(client, database), await begin(client, database)
    one, two, three = solved(first, 3)
    other, late = solved(second, 2)
    stranger = msgspec.structs.replace(other, session_id=SessionId(uuid4()))
    beyond = msgspec.structs.replace(late, version=9)

    async with database.transaction() as transaction:
        outcomes = await answers.apply_all(transaction, [one, other, two, one, stranger, beyond, three])

    assert outcomes == [
        *(Outcome.DONE, Outcome.DONE, Outcome.DONE, Outcome.DUPLICATE),
        *(Outcome.ALONE, Outcome.EARLY, Outcome.DONE),
    ]
    assert (await base(first), await base(second)) == (30, 20)
    for game in (first, second):
        assert await game.state() == rows.replayed(game.session_id)


async def test_a_session_in_which_one_event_cannot_be_is_left_whole_and_the_others_are_not(
    client: httpx.AsyncClient, database: Database
) -> None:
    broken, sound = await begin(client, database), await begin(client, database)
    good, wrong = solved(broken, 2)
    of_nobody = msgspec.structs.replace(wrong, player_id=PlayerId(uuid4()))
    other = solved(sound, 1)

    async with database.transaction() as transaction:
        outcomes = await answers.apply_all(transaction, [good, *other, of_nobody])

    assert outcomes == [Outcome.ALONE, Outcome.DONE, Outcome.ALONE]
    assert (await base(broken), await base(sound)) == (15, 20)


async def test_nobody_waits_for_a_session_that_somebody_holds(
    client: httpx.AsyncClient, database: Database, redis: Redis
) -> None:
    held, free = await begin(client, database), await begin(client, database)
    async with database.transaction() as transaction:
        await repository.lock_game(transaction, held.session_id)
        await together(redis, [*solved(held, 2), *solved(free, 2)])
        async with asyncio.timeout(2.5):  # less than it waits for a lock
            while await base(free) != 25:  # noqa: ASYNC110 (it is the consumer that changes it)
                await asyncio.sleep(0.01)
        assert await base(held) == 15
    await until(lambda: all_handled(redis))
    assert await base(held) == 25


async def test_a_poisoned_an_early_and_a_doubled_event_spoil_no_other_of_their_batch(
    client: httpx.AsyncClient, database: Database, redis: Redis, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HOLD_S", 60.0)
    games = [await begin(client, database) for _ in range(5)]
    poisoned = poison(rows, games[0])
    behind = games[0].puzzles.solved(games[0].players[0], games[0].started_at + 2)
    awaited, early = solved(games[1], 2)
    doubled = solved(games[2], 2)
    before, after = solved(games[3], 3), solved(games[4], 3)

    await together(redis, [*before, poisoned, early, *doubled, doubled[0], behind, *after])

    async def others() -> bool:
        return [await base(game) for game in games] == [20, 15, 25, 30, 30]

    await until(others)
    assert rows.one("SELECT entry_key FROM points.dead_letters") == {"entry_key": str(poisoned.event_id)}
    await together(redis, [awaited])
    await until(lambda: all_handled(redis))
    assert await base(games[1]) == 25
    handled = [*before, poisoned, early, *doubled, behind, *after, awaited]
    assert await confirmed(redis) == {event.event_id for event in handled}
    for game in games[1:]:
        assert await game.state() == rows.replayed(game.session_id)


async def test_a_batch_that_cannot_be_committed_takes_effect_one_by_one(
    client: httpx.AsyncClient, database: Database, redis: Redis, rows: Rows
) -> None:
    """The database refuses at the commit whatever changes more than one session."""
    first, second = await begin(client, database), await begin(client, database)
    await change_schema(
        rows,
        """
        CREATE FUNCTION points.only_one() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF (SELECT count(*) FROM points.sessions WHERE xmin = pg_current_xact_id()::xid) > 1
            THEN RAISE EXCEPTION 'more than one'; END IF;
            RETURN NULL;
        END $$
        """,
    )
    await change_schema(
        rows,
        """
        CREATE CONSTRAINT TRIGGER only_one AFTER UPDATE ON points.sessions DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION points.only_one()
        """,
    )
    try:
        await together(redis, [*solved(first, 2), *solved(second, 2)])
        await until(lambda: all_handled(redis))
        assert (await base(first), await base(second)) == (25, 25)
        assert rows.value("SELECT count(*) FROM points.dead_letters") == 0
    finally:
        await change_schema(rows, "DROP TRIGGER only_one ON points.sessions")
        await change_schema(rows, "DROP FUNCTION points.only_one()")
