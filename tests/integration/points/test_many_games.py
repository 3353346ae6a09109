"""Many games in one transaction: each as if it were alone."""

from uuid import UUID

import pytest

from contracts.events import decode_points_event
from contracts.ids import SessionId
from services.kit.database import Database
from services.points.domain.game import Game
from services.points.domain.views import encode_state, public_state
from services.points.repository import games as repository
from services.points.service import games
from tests.factories import Puzzles
from tests.finished_games import new_team, playing
from tests.points_game import Rows

pytestmark = pytest.mark.anyio


async def begun(database: Database, number: int, **rules: int) -> list[Game]:
    return [await playing(database, await new_team(database), **rules) for _ in range(number)]


def changed_each_in_its_own_way(game: Game, number: int) -> None:
    """Nothing; an answer and its award; one player out; the end; an early end."""
    puzzles = Puzzles(game.session_id)
    start = game.started_at or 0
    if number in {1, 2}:
        game.apply(puzzles.assigned(game.seats[0].player_id, start + 10))
        game.apply(puzzles.solved(game.seats[0].player_id, start + 20))
    if number == 2:
        game.advance(start + 15 * 5_000)
    if number == 3:
        game.advance(start + 30 * 5_000)
    if number == 4:
        game.end(start + 30)
        game.advance(start + 30)


async def test_many_games_are_changed_and_kept_in_one_transaction(database: Database, rows: Rows) -> None:
    ids = [game.session_id for game in await begun(database, 5)]
    expected = {}
    async with database.transaction() as transaction:
        locked = await repository.lock_games(transaction, ids)
        assert list(locked) == sorted(ids)
        for number, session_id in enumerate(ids):
            changed_each_in_its_own_way(locked[session_id], number)
        await games.keep_all(transaction, list(locked.values()))
        expected = {session_id: public_state(game) for session_id, game in locked.items()}
    statuses = []
    for session_id in ids:
        async with database.transaction() as transaction:
            found = await games.get(transaction, session_id)
        assert public_state(found) == expected[session_id] == rows.replayed(session_id)
        assert found.seq == len(rows.frames(session_id))
        sent = rows.all("SELECT payload FROM points.outbox WHERE session_id = %s ORDER BY version", session_id)
        versions = [decode_points_event(row["payload"]).version for row in sent]
        assert versions == list(range(1, found.sent_version + 1))
        statuses.append(found.status.value)
    assert statuses == ["active", "active", "active", "finished", "finished"]
    finished = {row["session_id"] for row in rows.all("SELECT session_id FROM points.finished_games")}
    assert finished == set(ids[3:])
    told = {row["session_id"]: row["seq"] for row in rows.all("SELECT session_id, seq FROM points.untold_rooms")}
    assert told == {row["session_id"]: row["seq"] for row in rows.all("SELECT session_id, seq FROM points.sessions")}


async def test_a_puzzle_that_nobody_looks_into_is_passed_on_as_it_was_stored(database: Database, rows: Rows) -> None:
    [game] = await begun(database, 1)
    puzzles = Puzzles(game.session_id)
    async with database.transaction() as transaction:
        held = await games.lock(transaction, game.session_id)
        held.apply(puzzles.assigned(held.seats[0].player_id, (game.started_at or 0) + 10))
        await games.keep(transaction, held)
    before = rows.all("SELECT xmin, puzzle FROM points.seats ORDER BY seat")
    assert before[0]["puzzle"] is not None
    async with database.transaction() as transaction:
        held = await games.lock(transaction, game.session_id)
        held.apply(puzzles.assigned(held.seats[1].player_id, (game.started_at or 0) + 20))
        assert before[0]["puzzle"] in encode_state(held)
        await games.keep(transaction, held)
    after = rows.all("SELECT xmin, puzzle FROM points.seats ORDER BY seat")
    assert after[0] == before[0]  # not even written
    assert after[1] != before[1]
    async with database.transaction() as transaction:
        assert public_state(await games.get(transaction, game.session_id)) == rows.replayed(game.session_id)


async def test_games_that_somebody_holds_or_nobody_knows_are_left_out(database: Database) -> None:
    ids = [game.session_id for game in await begun(database, 3)]
    unknown = SessionId(UUID(int=1))
    async with database.transaction() as one, database.transaction() as another:
        assert list(await repository.lock_games(one, ids[:1])) == ids[:1]
        free = await repository.lock_games(another, [*ids, unknown], skip_held=True)
        assert free.keys() == set(ids[1:])


async def test_nothing_is_written_where_nothing_has_changed(database: Database, rows: Rows) -> None:
    [game] = await begun(database, 1)
    rows.change("DELETE FROM points.untold_rooms")
    async with database.transaction() as transaction:
        await games.keep_all(transaction, [])
        held = await games.lock(transaction, game.session_id)
        await games.keep(transaction, held)
    assert rows.value("SELECT count(*) FROM points.untold_rooms") == 0
