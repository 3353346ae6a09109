"""Points' events take effect once, in the order of their session, and none that cannot follow."""

import asyncio

import pytest

from contracts.events import PointsEvent
from services.kit.database import Database
from services.kit.streams import Outcome
from services.puzzle.service import roster
from services.puzzle.service.roster import UnexpectedEventError
from tests.puzzle_game import TYPES, Game, Rows, apply, begin

pytestmark = pytest.mark.anyio

DONE, DUPLICATE, EARLY = Outcome.DONE, Outcome.DUPLICATE, Outcome.EARLY


async def retry(database: Database, event: PointsEvent) -> Outcome:
    async with database.transaction() as transaction:
        return await roster.apply_points_event(transaction, TYPES, event, retried=True)


async def skip(database: Database, event: PointsEvent) -> None:
    async with database.transaction() as transaction:
        await roster.skip(transaction, event)


async def test_events_take_effect_in_their_order_and_once(database: Database) -> None:
    game = Game()
    countdown, started, finished = game.countdown(), game.started(), game.finished()
    assert await apply(database, started, countdown, finished, countdown, started, started, finished) == [
        EARLY,
        DONE,
        EARLY,
        DUPLICATE,
        DONE,
        DUPLICATE,
        DONE,
    ]


async def test_the_same_event_at_once_takes_effect_once(database: Database, rows: Rows) -> None:
    game = Game(players=2)
    countdown, started = game.countdown(), game.started()
    for event in (countdown, started):
        outcomes = await asyncio.gather(*(apply(database, event) for _ in range(4)))
        assert sorted(outcome.value for [outcome] in outcomes) == ["done"] + ["duplicate"] * 3
    assert [event.version for event in rows.events(game.session_id)] == [1, 2]


async def test_a_session_that_ends_in_the_lobby_needs_no_roster(database: Database, rows: Rows) -> None:
    assert await apply(database, Game().finished()) == [DONE]
    assert rows.all("SELECT * FROM puzzle.sessions") == []


async def test_what_cannot_follow_changes_nothing(database: Database, game: Game, rows: Rows) -> None:
    before = rows.all("SELECT * FROM puzzle.sessions")
    with pytest.raises(UnexpectedEventError):
        await apply(database, game.countdown())
    with pytest.raises(UnexpectedEventError):
        await apply(database, Game().started())
    assert rows.all("SELECT * FROM puzzle.sessions") == before


async def test_an_event_that_was_given_up_lets_those_behind_it_pass(database: Database, rows: Rows) -> None:
    game = Game()
    countdown, started, finished = game.countdown(), game.started(), game.finished()
    await apply(database, countdown)
    await skip(database, finished)
    assert await apply(database, finished) == [EARLY]
    await skip(database, started)
    assert await apply(database, finished) == [DONE]

    assert await retry(database, started) is DONE
    assert rows.one("SELECT status, points_version FROM puzzle.sessions") == {"status": "finished", "points_version": 3}
    assert rows.events(game.session_id) == []


async def test_to_give_up_an_event_of_an_unknown_session_changes_nothing(database: Database, rows: Rows) -> None:
    game = Game()
    countdown = game.countdown()
    await skip(database, countdown)
    assert await apply(database, game.started()) == [EARLY]
    assert await retry(database, countdown) is DONE
    assert rows.one("SELECT status FROM puzzle.sessions")["status"] == "countdown"


async def test_a_team_may_be_in_its_next_session_before_the_end_of_the_last_is_heard(
    database: Database, rows: Rows
) -> None:
    first = await begin(database, Game(players=1))
    second = Game(players=1)
    second.players, second.team_id = first.players, first.team_id
    await begin(database, second)
    assert len(rows.all("SELECT 1 FROM puzzle.puzzles WHERE status = 'open'")) == 2
    await apply(database, first.finished())
    assert rows.open_puzzle(first.players[0])["session_id"] == second.session_id
