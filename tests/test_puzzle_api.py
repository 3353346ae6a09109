"""The puzzle flow over HTTP, from the first puzzle to the last answer."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from contracts.events import PuzzleAnswered, PuzzleAssigned, PuzzleExpired
from contracts.ids import PlayerId
from services.kit.database import Database
from services.kit.tokens import Role
from tests.puzzle_game import (
    ALL_TYPES,
    Game,
    Rows,
    answer,
    apply,
    bearer,
    begin,
    current,
    problem,
    right_answer,
    running,
    wrong_answer,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("clean")]


@pytest.fixture
async def client(puzzle_app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with running(puzzle_app) as client:
        yield client


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, "baton_puzzle")
    yield database
    await database.close()


@pytest.fixture
def rows(database_url: str) -> Rows:
    return Rows(database_url)


@pytest.fixture
async def game(database: Database) -> Game:
    return await begin(database, Game())


async def test_everybody_has_one_puzzle_when_play_has_begun(client: httpx.AsyncClient, game: Game, rows: Rows) -> None:
    for player_id in game.players:
        puzzle = await current(client, game, player_id)
        assert puzzle["type"] in ALL_TYPES
        assert puzzle["deadline"] > puzzle["opened_at"]
    events = rows.events(game.session_id)
    assert [event.version for event in events] == [1, 2, 3]
    assert {event.player_id for event in events if isinstance(event, PuzzleAssigned)} == set(game.players)


@pytest.mark.parametrize("type_name", ALL_TYPES)
async def test_a_right_answer_solves_a_puzzle_of_each_type_and_the_next_one_is_dealt(
    client: httpx.AsyncClient, database: Database, rows: Rows, type_name: str
) -> None:
    game = await begin(database, Game(players=2, types=[type_name]))
    player = game.players[0]
    puzzle = rows.open_puzzle(player)
    rows.let_time_pass(puzzle["puzzle_id"])
    right = right_answer(puzzle)

    response = await answer(client, game, player, puzzle["puzzle_id"], right)

    assert response.status_code == 200
    body = response.json()
    assert (body["puzzle_id"], body["verdict"]) == (str(puzzle["puzzle_id"]), "solved")
    assert body["closed"]["solution"] == right
    assert body["next"] == await current(client, game, player)
    event = rows.events(game.session_id)[-1]
    assert isinstance(event, PuzzleAnswered)
    assert (event.version, event.at) == (3, body["closed"]["closed_at"])
    assert str(event.next.puzzle_id) == body["next"]["puzzle_id"]
    stored = rows.puzzle(puzzle["puzzle_id"])
    assert (stored["status"], stored["answer"]) == ("solved", right)


async def test_a_trace_that_claims_more_time_than_there_was_is_refused_and_closes_nothing(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    game = await begin(database, Game(players=1, types=["spatial"]))
    puzzle = rows.open_puzzle(game.players[0])

    response = await answer(client, game, game.players[0], puzzle["puzzle_id"], right_answer(puzzle))

    assert (response.status_code, response.json()["code"]) == (422, "invalid_answer")
    assert rows.puzzle(puzzle["puzzle_id"])["status"] == "open"


@pytest.mark.parametrize("type_name", ALL_TYPES)
async def test_a_wrong_answer_closes_the_puzzle_as_failed(
    client: httpx.AsyncClient, database: Database, rows: Rows, type_name: str
) -> None:
    game = await begin(database, Game(players=1, types=[type_name]))
    puzzle = rows.open_puzzle(game.players[0])
    rows.let_time_pass(puzzle["puzzle_id"])

    response = await answer(client, game, game.players[0], puzzle["puzzle_id"], wrong_answer(puzzle))

    assert response.json()["verdict"] == "failed"
    assert response.json()["closed"]["solution"] == puzzle["hidden"]
    assert rows.puzzle(puzzle["puzzle_id"])["status"] == "failed"


async def test_a_second_answer_with_the_same_key_gets_the_same_response(
    client: httpx.AsyncClient, game: Game, rows: Rows
) -> None:
    player = game.players[0]
    puzzle = rows.open_puzzle(player)
    right = right_answer(puzzle)
    first = await answer(client, game, player, puzzle["puzzle_id"], right, Idempotency_Key="answer-0001")
    again = await answer(client, game, player, puzzle["puzzle_id"], right, Idempotency_Key="answer-0001")
    assert first.status_code == again.status_code == 200
    assert again.json() == first.json()
    assert len(rows.events(game.session_id)) == 4

    other = await answer(client, game, player, puzzle["puzzle_id"], wrong_answer(puzzle), Idempotency_Key="answer-0001")
    assert problem(other) == (422, "idempotency_key_reused")


async def test_an_answer_that_takes_the_long_way_is_the_same_answer(
    client: httpx.AsyncClient, game: Game, rows: Rows
) -> None:
    player = game.players[0]
    ways = [{"Content_Type": "application/json"}, {"Content_Type": "application/json; charset=utf-8"}]
    for number, (first_way, again_way) in enumerate([ways, ways[::-1]]):
        puzzle = rows.open_puzzle(player)
        first, again = [
            await answer(
                client,
                game,
                player,
                puzzle["puzzle_id"],
                right_answer(puzzle),
                Idempotency_Key=f"answer-{number}",
                **way,
            )
            for way in (first_way, again_way)
        ]
        assert first.status_code == again.status_code == 200
        assert first.content == again.content
        assert first.json()["closed"]["verdict"] == "solved"
    assert len(rows.events(game.session_id)) == 5


async def test_a_second_answer_with_another_key_or_none_is_refused_and_tells_nobody(
    client: httpx.AsyncClient, game: Game, rows: Rows
) -> None:
    player = game.players[0]
    puzzle = rows.open_puzzle(player)
    right = right_answer(puzzle)
    await answer(client, game, player, puzzle["puzzle_id"], right, Idempotency_Key="answer-0001")
    for headers in ({"Idempotency_Key": "answer-0002"}, {}):
        again = await answer(client, game, player, puzzle["puzzle_id"], right, **headers)
        assert problem(again) == (409, "puzzle_closed")
    assert len(rows.events(game.session_id)) == 4


async def test_of_many_answers_at_once_exactly_one_is_taken(client: httpx.AsyncClient, game: Game, rows: Rows) -> None:
    player = game.players[0]
    puzzle = rows.open_puzzle(player)
    right = right_answer(puzzle)
    responses = await asyncio.gather(
        *(answer(client, game, player, puzzle["puzzle_id"], right, Idempotency_Key=f"answer-{n:04}") for n in range(8))
    )
    assert sorted(response.status_code for response in responses) == [200] + [409] * 7
    assert [event.version for event in rows.events(game.session_id)] == [1, 2, 3, 4]
    assert rows.one("SELECT count(*) FROM puzzle.puzzles WHERE player_id = %s", player)["count"] == 2


async def test_answers_of_a_team_at_once_are_numbered_without_a_gap(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    game = await begin(database, Game(players=6))
    puzzles = [rows.open_puzzle(player) for player in game.players]
    responses = await asyncio.gather(
        *(answer(client, game, p["player_id"], p["puzzle_id"], right_answer(p)) for p in puzzles)
    )
    assert {response.status_code for response in responses} == {200}
    events = rows.events(game.session_id)
    assert [event.version for event in events] == list(range(1, 13))
    assert [event.at for event in events] == sorted(event.at for event in events)


async def test_an_answer_after_the_deadline_is_too_late(client: httpx.AsyncClient, game: Game, rows: Rows) -> None:
    puzzle = rows.open_puzzle(game.players[0])
    rows.let_time_run_out(puzzle["puzzle_id"])
    response = await answer(client, game, game.players[0], puzzle["puzzle_id"], right_answer(puzzle))
    assert problem(response) == (409, "puzzle_expired")
    assert rows.puzzle(puzzle["puzzle_id"])["status"] == "open"


async def test_an_eliminated_player_cannot_answer_and_has_no_puzzle(
    client: httpx.AsyncClient, database: Database, game: Game, rows: Rows
) -> None:
    player = game.players[0]
    puzzle = rows.open_puzzle(player)
    await apply(database, game.eliminated(player))
    response = await answer(client, game, player, puzzle["puzzle_id"], right_answer(puzzle))
    assert problem(response) == (409, "player_eliminated")
    response = await client.get(f"/players/{player}/puzzle", headers=bearer(game.token(player)))
    assert problem(response) == (404, "no_open_puzzle")
    response = await client.post("/puzzles", json={"player_id": str(player)}, headers=bearer(game.token(player)))
    assert problem(response) == (409, "player_eliminated")


async def test_nothing_can_be_answered_when_the_game_is_over(
    client: httpx.AsyncClient, database: Database, game: Game, rows: Rows
) -> None:
    puzzle = rows.open_puzzle(game.players[0])
    await apply(database, game.finished())
    response = await answer(client, game, game.players[0], puzzle["puzzle_id"], right_answer(puzzle))
    assert problem(response) == (409, "session_not_active")
    assert rows.all("SELECT 1 FROM puzzle.puzzles WHERE status = 'open'") == []


async def test_a_player_without_a_puzzle_is_dealt_the_type_asked_for(
    client: httpx.AsyncClient, game: Game, rows: Rows
) -> None:
    player = game.players[0]
    overdue = rows.open_puzzle(player)
    rows.let_time_run_out(overdue["puzzle_id"])
    body = {"player_id": str(player), "type": "memory"}
    headers = bearer(game.token(player), Idempotency_Key="create-0001")

    created = await client.post("/puzzles", json=body, headers=headers)

    assert created.status_code == 201
    assert created.json()["puzzle"]["type"] == "memory"
    assert created.json()["puzzle"] == await current(client, game, player)
    event = rows.events(game.session_id)[-1]
    assert isinstance(event, PuzzleExpired)
    assert event.closed.closed_at < event.at == event.next.opened_at
    again = await client.post("/puzzles", json=body, headers=headers)
    assert (again.status_code, again.json()) == (201, created.json())
    assert len(rows.events(game.session_id)) == 4

    rows.change("UPDATE puzzle.puzzles SET status = 'withdrawn', closed_at = deadline WHERE player_id = %s", player)
    created = await client.post("/puzzles", json={"player_id": str(player)}, headers=bearer(game.token(player)))
    assert created.status_code == 201
    assert isinstance(rows.events(game.session_id)[-1], PuzzleAssigned)


async def test_a_puzzle_is_not_dealt_where_none_is_due(
    client: httpx.AsyncClient, database: Database, game: Game, rows: Rows
) -> None:
    async def create(of: Game, player_id: PlayerId, **body: Any) -> tuple[int, str]:
        headers = bearer(of.token(player_id))
        return problem(await client.post("/puzzles", json={"player_id": str(player_id), **body}, headers=headers))

    player = game.players[0]
    assert await create(game, player) == (409, "puzzle_open")
    assert await create(game, player, type="juggling") == (422, "unknown_puzzle_type")
    assert await create(game, PlayerId(uuid4())) == (404, "player_not_in_game")
    waiting = Game(types=["memory"])
    await apply(database, waiting.countdown())
    assert await create(waiting, waiting.players[0]) == (409, "session_not_active")
    await apply(database, waiting.started())
    rows.let_time_run_out(rows.open_puzzle(waiting.players[0])["puzzle_id"])
    assert await create(waiting, waiting.players[0], type="spatial") == (422, "unknown_puzzle_type")


async def test_a_spectator_of_the_team_sees_a_players_puzzle(client: httpx.AsyncClient, game: Game) -> None:
    headers = bearer(game.other_token(Role.SPECTATOR))
    assert (await client.get(f"/players/{game.players[0]}/puzzle", headers=headers)).status_code == 200


async def test_a_player_who_was_removed_before_the_game_sees_and_does_nothing_in_it(
    client: httpx.AsyncClient, game: Game, rows: Rows
) -> None:
    """The token is valid, and for this team: but the roster was made without its player."""
    player, removed = game.players[0], game.other_token(Role.PLAYER)
    puzzle = rows.open_puzzle(player)
    assert problem(await client.get(f"/players/{player}/puzzle", headers=bearer(removed))) == (403, "not_your_game")
    body = {"answer": right_answer(puzzle)}
    response = await client.post(f"/puzzles/{puzzle['puzzle_id']}/answer", json=body, headers=bearer(removed))
    assert problem(response) == (403, "not_your_puzzle")
    team_mate = bearer(game.token(game.players[1]))
    assert (await client.get(f"/players/{player}/puzzle", headers=team_mate)).status_code == 200


async def test_the_puzzle_types_tell_their_limits_and_the_shape_of_an_answer(client: httpx.AsyncClient) -> None:
    types = (await client.get("/puzzle-types")).json()["types"]
    assert [kind["name"] for kind in types] == ALL_TYPES
    for kind in types:
        assert list(kind["time_limit_ms"]) == list(kind["guess_rate"]) == ["1", "2", "3", "4", "5"]
        assert kind["answer_schema"]
