"""Answers over the socket, judged by the real puzzle service: the same as over HTTP."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from msgspec.structs import replace

from baton.ports import any_free
from contracts.frames import Answer, Answered, Error
from contracts.ids import PlayerId, PuzzleId
from contracts.rooms import Player, SessionCreated
from services.kit.database import Database
from services.kit.tokens import Role
from tests.integration.realtime.clients import Client, join, token_for
from tests.integration.realtime.conftest import serving_app
from tests.integration.realtime.metrics import metric
from tests.integration.realtime.points import Points, Session
from tests.puzzle_game import Game, Rows, bearer, begin, right_answer, wrong_answer


@pytest.fixture
def puzzle_url(clean: None, puzzle_app: FastAPI) -> Iterator[str]:
    """The puzzle service on a port."""
    with serving_app(puzzle_app) as url:
        yield url


@pytest.fixture
def url(puzzle_url: str, new_gateway: Callable[..., str]) -> str:
    """A gateway that reaches the puzzle service."""
    return new_gateway(puzzle_internal_url=puzzle_url)


@pytest.fixture
async def game(puzzle_url: str, database_url: str) -> Game:
    """A game that is being played."""
    database = Database(database_url, "baton_puzzle")
    try:
        return await begin(database, Game())
    finally:
        await database.close()


@pytest.fixture
async def session(points: Points, game: Game) -> Session:
    """The game's room."""
    return await room_of(points, game)


@pytest.fixture
def rows(database_url: str) -> Rows:
    return Rows(database_url)


async def room_of(points: Points, game: Game) -> Session:
    session = Session()
    players = [Player(player_id=p, seat=seat, name=f"P{seat}", colour="#17bebb") for seat, p in enumerate(game.players)]
    session.id, session.team_id, session.player_id, session.frames = game.session_id, game.team_id, game.players[0], []
    session.commit(
        SessionCreated(state=replace(session.state, session_id=session.id, team_id=session.team_id, players=players))
    )
    points.sessions[session.id] = session
    await points.tell(session)
    return session


@asynccontextmanager
async def player(url: str, session: Session, game: Game, seat: int = 0) -> AsyncIterator[Client]:
    async with join(url, session, token=game.token(game.players[seat])) as client:
        yield client


async def answer(client: Client, puzzle_id: Any, given: Any, number: int = 1, key: str | None = None) -> Answered:
    """Answer over the socket."""
    raw = msgspec.Raw(json.dumps(given).encode())
    await client.say(Answer(id=number, puzzle_id=PuzzleId(puzzle_id), answer=raw, idempotency_key=key))
    return await client.hear(Answered, lambda answered: answered.id == number)


def said(answered: Answered) -> tuple[int, Any]:
    return answered.status, json.loads(bytes(answered.body))


async def test_a_right_answer_is_judged_and_the_next_puzzle_comes_with_it(
    url: str, session: Session, game: Game, rows: Rows
) -> None:
    before = rows.open_puzzle(game.players[0])
    async with player(url, session, game) as client:
        status, body = said(await answer(client, before["puzzle_id"], right_answer(before)))
    assert (status, body["verdict"]) == (200, "solved")
    after = rows.open_puzzle(game.players[0])
    assert body["next"]["puzzle_id"] == str(after["puzzle_id"]) != body["puzzle_id"] == str(before["puzzle_id"])
    assert rows.puzzle(before["puzzle_id"])["status"] == "solved"


async def test_it_is_one_answer_however_often_and_by_which_way_it_is_repeated(
    url: str, puzzle_url: str, session: Session, game: Game, rows: Rows, http: httpx.AsyncClient
) -> None:
    puzzle = rows.open_puzzle(game.players[0])
    given, key = right_answer(puzzle), f"a key of {uuid4()}".replace(" ", "-")
    async with player(url, session, game) as client:
        first = said(await answer(client, puzzle["puzzle_id"], given, 1, key))
        again = said(await answer(client, puzzle["puzzle_id"], given, 2, key))
    async with player(url, session, game) as client:
        elsewhere = said(await answer(client, puzzle["puzzle_id"], given, 1, key))
    by_http = await http.post(
        f"{puzzle_url}/puzzles/{puzzle['puzzle_id']}/answer",
        content=b'{"answer":%b}' % json.dumps(given).encode(),
        headers=bearer(game.token(game.players[0]), Idempotency_Key=key, Content_Type="application/json"),
    )
    assert first == again == elsewhere == (by_http.status_code, by_http.json())
    assert first[0] == 200
    answered = [event for event in rows.events(game.session_id) if type(event).__name__ == "PuzzleAnswered"]
    assert len(answered) == 1


async def test_without_a_key_a_repeated_answer_is_one_answer_too(
    url: str, session: Session, game: Game, rows: Rows
) -> None:
    puzzle = rows.open_puzzle(game.players[0])
    replies = []
    for number in range(3):
        async with player(url, session, game) as client:
            replies.append(said(await answer(client, puzzle["puzzle_id"], wrong_answer(puzzle), number)))
    assert replies[0] == replies[1] == replies[2]
    assert (replies[0][0], replies[0][1]["verdict"]) == (200, "failed")
    async with player(url, session, game) as client:
        status, problem = said(await answer(client, puzzle["puzzle_id"], right_answer(puzzle)))
    assert (status, problem["code"]) == (409, "puzzle_closed")


async def test_what_is_refused_over_http_is_refused_over_the_socket_in_the_same_words(
    url: str, puzzle_url: str, session: Session, game: Game, rows: Rows, http: httpx.AsyncClient
) -> None:
    mine, theirs = (rows.open_puzzle(player_id) for player_id in game.players[:2])
    cases = [
        (theirs["puzzle_id"], right_answer(theirs), 403, "not_your_puzzle"),
        (uuid4(), {"colour": "red"}, 404, "puzzle_not_found"),
        (mine["puzzle_id"], {"what": "ever"}, 422, "invalid_answer"),
        (mine["puzzle_id"], [1, 2], 422, "invalid_request"),
        (mine["puzzle_id"], None, 422, "invalid_request"),
    ]
    async with player(url, session, game) as client:
        for number, (puzzle_id, given, status, code) in enumerate(cases):
            by_socket = said(await answer(client, puzzle_id, given, number))
            by_http = await http.post(
                f"{puzzle_url}/puzzles/{puzzle_id}/answer",
                json={"answer": given},
                headers=bearer(game.token(game.players[0])),
            )
            assert by_socket == (by_http.status_code, by_http.json())
            assert (by_socket[0], by_socket[1]["code"]) == (status, code)
    assert rows.puzzle(mine["puzzle_id"])["status"] == rows.puzzle(theirs["puzzle_id"])["status"] == "open"


async def test_a_spectator_answers_nothing(url: str, session: Session, game: Game, rows: Rows) -> None:
    puzzle = rows.open_puzzle(game.players[0])
    raw = msgspec.Raw(json.dumps(right_answer(puzzle)).encode())
    for role in (Role.SPECTATOR, Role.HOST):
        token = token_for(session.team_id, player_id=PlayerId(uuid4()), role=role)
        async with join(url, session, token=token) as client:
            await client.say(Answer(id=1, puzzle_id=puzzle["puzzle_id"], answer=raw))
            assert (await client.hear(Error)).code == "players_only"
    assert rows.puzzle(puzzle["puzzle_id"])["status"] == "open"


async def test_answers_in_a_hurry_are_each_answered(url: str, session: Session, game: Game) -> None:
    raw = msgspec.Raw(b'{"colour":"red"}')
    async with player(url, session, game) as client:
        for number in range(20):
            await client.say(Answer(id=number, puzzle_id=PuzzleId(uuid4()), answer=raw))
        found: dict[int, int] = {}
        while len(found) < 20:
            answered = await client.hear(Answered)
            found[answered.id] = answered.status
    assert set(found) == set(range(20))
    assert all(found[number] == 404 for number in range(10))
    assert {status for number, status in found.items() if number >= 10} <= {404, 429}
    assert 429 in found.values()


async def test_while_the_puzzle_service_is_away_that_is_said_and_nothing_else_suffers(
    new_gateway: Callable[..., str], points: Points, session: Session, game: Game, http: httpx.AsyncClient
) -> None:
    url = new_gateway(puzzle_internal_url=f"http://127.0.0.1:{any_free()}")
    before = await metric(http, url, "baton_socket_answers_total", status="503")
    async with player(url, session, game) as client:
        status, problem = said(await answer(client, uuid4(), {}))
        assert (status, problem["code"], problem["status"]) == (503, "temporarily_unavailable", 503)
        await points.happen(session)
        await client.reach(session.seq)
    assert await metric(http, url, "baton_socket_answers_total", status="503") == before + 1
    assert (await http.get(f"{url}/readyz")).status_code == 200


async def test_a_client_that_goes_before_its_answer_is_answered_hurts_nobody(
    url: str, session: Session, game: Game, rows: Rows
) -> None:
    puzzle = rows.open_puzzle(game.players[0])
    given = msgspec.Raw(json.dumps(right_answer(puzzle)).encode())
    async with player(url, session, game) as client:
        await client.say(Answer(id=1, puzzle_id=puzzle["puzzle_id"], answer=given))
    async with player(url, session, game) as client:
        status, body = said(await answer(client, puzzle["puzzle_id"], right_answer(puzzle)))
    assert (status, body["verdict"]) == (200, "solved")
