"""The archive: finished games leave the tables, and nobody who asks for one notices."""

import asyncio
import re

import httpx
import pytest

from contracts.ids import SessionId
from services.kit.database import Database, Transaction
from services.kit.streams import Outcome
from services.points import models, standing_models
from services.points.domain.game import Game
from services.points.repository import rooms
from services.points.repository.archive import archive_games
from services.points.service import answers, games, replaying, retention
from tests.factories import Puzzles
from tests.finished_games import new_team, play, playing
from tests.points_game import Rows, Team, bearer

pytestmark = pytest.mark.anyio

SOME = [("memory", True), ("spatial", False), ("memory", True), ("spatial", True)]
ROWS = ("sessions", "seats", "ledger", "session_events", "finished_games", "tick_requests")


async def replayed(database: Database, count: int = 1) -> list[Game]:
    """Finished games of a team each, whose replays agreed."""
    played = [await play(database, await new_team(database), 10_000 + number, SOME) for number in range(count)]
    assert await replaying.replay_finished(database) == count
    return played


def in_tables(rows: Rows) -> dict[str, int]:
    return {table: rows.value(f"SELECT count(*) FROM points.{table}") for table in ROWS}  # noqa: S608 (our own names)


def archived(rows: Rows) -> int:
    return int(rows.value("SELECT count(*) FROM points.archived_sessions"))


def content(rows: Rows, session_id: SessionId) -> dict[str, list[dict[str, object]]]:
    """Every row of the game, as it is."""
    return {
        table: rows.all(f"SELECT * FROM points.{table} WHERE session_id = %s ORDER BY 1, 2, 3", session_id)  # noqa: S608 (as above)
        for table in ROWS
    }


async def told(client: httpx.AsyncClient, team: Team, session_id: SessionId) -> dict[str, bytes]:
    """What is answered to everything that can be asked about a finished session, without the time of the question."""
    one, two = team.players[:2]
    of_session, of_team = f"/sessions/{session_id}", f"/teams/{team.team_id}"
    paths = [of_session, of_team, f"{of_team}/points", "/leaderboard"]
    paths += [f"{of_session}/{what}" for what in ("points", "ledger", "results")]
    paths += [f"{of_session}/ledger?player_id={player}&limit=2" for player in (one, two)]
    answered = {}
    page = f"{of_session}/ledger?limit=2"
    while page:
        paths.append(page)
        following = (await client.get(page, headers=bearer(team.host))).json()["next"]
        page = f"{of_session}/ledger?limit=2&after={following}" if following else ""
    for path in paths:
        response = await client.get(path, headers=bearer(team.host))
        assert response.status_code == 200, response.text
        # The time of the question: `now` of a session, `at` of its points.
        answered[path] = re.sub(rb'("(?:epoch|status)":"\w+","(?:now|at)":)\d+', rb"\1", response.content)
    for verb, token in (("start", team.host), ("end", team.host), ("ready", team.tokens[0])):
        response = await client.post(f"{of_session}/{verb}", headers=bearer(token))
        answered[verb] = str(response.status_code).encode() + re.sub(rb'"now":\d+', b"", response.content)
    return answered


async def finished_over_http(client: httpx.AsyncClient, database: Database) -> tuple[Team, SessionId]:
    team = await Team.make(client, 3)
    session_id = (await play(database, team.team_id, 12_345, SOME, penalty=2)).session_id
    assert await replaying.replay_finished(database) == 1
    return team, session_id


async def test_what_is_answered_about_an_archived_game_is_the_same_to_the_byte(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    team, session_id = await finished_over_http(client, database)
    before = await told(client, team, session_id)
    async with database.transaction(snapshot=True) as transaction:
        room = await rooms.read_range(transaction, session_id)
    whole = content(rows, session_id)
    assert len(whole["session_events"]) > 10
    assert await retention.archive_finished(database, -60_000) == 1
    assert (set(in_tables(rows).values()), archived(rows)) == ({0}, 1)

    async with database.transaction(snapshot=True) as transaction:
        assert await rooms.read_range(transaction, session_id) == room
        found = await replaying.replay(transaction, session_id)
        assert (found.differences, found.events) == ([], len(whole["session_events"]))
    after = await told(client, team, session_id)
    assert after == before
    assert len(after) > 12


async def test_a_game_that_is_locked_comes_back_as_it_was_and_is_archived_again(database: Database, rows: Rows) -> None:
    [game] = await replayed(database)
    before = content(rows, game.session_id)
    await retention.archive_finished(database, -60_000)
    async with database.transaction() as transaction:
        assert await games.lock(transaction, game.session_id) == await games.get(transaction, game.session_id)
    assert (content(rows, game.session_id), archived(rows)) == (before, 0)
    assert await retention.archive_finished(database, -60_000) == 1
    assert (set(in_tables(rows).values()), archived(rows)) == ({0}, 1)


async def test_an_answer_that_comes_after_the_archiving_is_not_lost(database: Database, rows: Rows) -> None:
    [game] = await replayed(database)
    await retention.archive_finished(database, -60_000)
    puzzles = Puzzles(game.session_id)
    puzzles.version = game.puzzle_version
    late = puzzles.solved(game.seats[0].player_id, (game.finished_at or 0) + 1)

    async def apply(transaction: Transaction) -> list[Outcome]:
        return await answers.apply_all(transaction, [late, late])

    async with database.transaction() as transaction:
        assert await apply(transaction) == [Outcome.ALONE] * 2
    for outcome in (Outcome.DONE, Outcome.DUPLICATE):
        async with database.transaction() as transaction:
            assert await answers.apply(transaction, late) is outcome
    [void] = rows.all("SELECT * FROM points.ledger WHERE kind = 'void' AND reason = 'session_over'")
    assert void["puzzle_id"] == late.closed.puzzle_id
    assert await retention.archive_finished(database, -60_000) == 1
    async with database.transaction(snapshot=True) as transaction:
        assert (await games.get(transaction, game.session_id)).puzzle_version == late.version
        assert (await replaying.replay(transaction, game.session_id)).differences == []


async def test_only_games_that_ended_long_ago_and_agreed_are_archived(database: Database, rows: Rows) -> None:
    young, differing, unreplayed, due = await replayed(database, 4)
    active = await playing(database, await new_team(database))
    long_ago = "UPDATE points.finished_games SET finished_at = finished_at - 1000000 WHERE session_id = %s"
    for game in (differing, unreplayed, due):
        rows.change(long_ago, game.session_id)
    rows.change("UPDATE points.finished_games SET differences = '[1]' WHERE session_id = %s", differing.session_id)
    rows.change(
        "UPDATE points.finished_games SET differences = NULL, replayed_at = NULL WHERE session_id = %s",
        unreplayed.session_id,
    )
    assert await retention.archive_finished(database, 900_000) == 1
    assert rows.value("SELECT session_id FROM points.archived_sessions") == due.session_id
    left = {row["session_id"] for row in rows.all("SELECT session_id FROM points.sessions")}
    assert left == {game.session_id for game in (young, differing, unreplayed, active)}


async def test_any_number_archive_at_once_and_leave_what_is_held(
    database: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, *_ = await replayed(database, 9)
    monkeypatch.setattr(retention, "GAMES_AT_ONCE", 2)
    async with database.transaction() as transaction:
        await games.lock(transaction, held.session_id)
        done = await asyncio.gather(*(retention.archive_finished(database, -60_000) for _ in range(3)))
        done.append(await retention.archive_finished(database, -60_000))
        assert sum(done) == archived(rows) == 8
    assert await retention.archive_finished(database, -60_000) == 1


async def test_one_batch_is_bounded(database: Database, rows: Rows) -> None:
    await replayed(database, 3)
    async with database.transaction() as transaction:
        assert await archive_games(transaction, 2**60, 2) == 2
    assert (archived(rows), in_tables(rows)["sessions"]) == (2, 1)


async def test_a_teams_newest_session_is_found_wherever_it_is(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    team, first = await finished_over_http(client, database)
    rows.change("UPDATE points.finished_games SET differences = '[1]'")
    second = (await play(database, team.team_id, 5_000)).session_id
    await replaying.replay_finished(database)
    assert await retention.archive_finished(database, -60_000) == 1
    assert rows.value("SELECT session_id FROM points.sessions") == first
    assert (await team.get(f"/teams/{team.team_id}/points"))["session_id"] == str(second)
    third = await team.open()
    assert (await team.get(f"/teams/{team.team_id}/points"))["session_id"] == str(third)


async def test_what_is_forgotten_is_not_found_and_still_counts(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    team, session_id = await finished_over_http(client, database)
    board = await team.get("/leaderboard")
    await retention.archive_finished(database, -60_000)
    assert await retention.forget_archived(database, 60_000) == 0
    assert await retention.forget_archived(database, -60_000) == 1
    assert archived(rows) == 0
    for what in ("", "/points", "/ledger", "/results"):
        response = await client.get(f"/sessions/{session_id}{what}", headers=bearer(team.host))
        assert (response.status_code, response.json()["code"]) == (404, "session_not_found")
    assert await team.get("/leaderboard") == board


def test_a_document_has_all_tables_that_a_game_has_rows_in() -> None:
    """Whoever adds a table with a session's rows has to say here what becomes of them."""
    of_sessions = {table.name for table in models.Base.metadata.tables.values() if "session_id" in table.columns}
    elsewhere = {"outbox", "untold_rooms", "best_games", standing_models.ArchivedSession.__tablename__}
    assert of_sessions - elsewhere == set(ROWS)
