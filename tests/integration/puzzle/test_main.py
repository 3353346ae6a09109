"""The process put together: what it needs, and what it can do without."""

from typing import Any

import pytest
from prometheus_client import REGISTRY

from baton.ports import any_free
from services.kit.database import Database
from services.kit.front import Front
from services.puzzle.main import create_app
from services.puzzle.settings import PuzzleSettings
from tests.puzzle_game import Game, Rows, answer, bearer, begin, problem, right_answer, running

pytestmark = pytest.mark.anyio


def answers(verdict: str) -> float:
    return REGISTRY.get_sample_value("baton_answers_total", {"type": "memory", "verdict": verdict}) or 0.0


async def test_answers_are_taken_while_valkey_is_away_and_wait_in_the_outbox(
    database: Database, database_url: str, rows: Rows
) -> None:
    nowhere = f"redis://127.0.0.1:{any_free()}/0"
    game = await begin(database, Game(players=1, types=["memory"]))
    puzzle = rows.open_puzzle(game.players[0])
    before = answers("solved")
    async with running(create_app(PuzzleSettings(database_url=database_url, redis_url=nowhere))) as client:
        response = await answer(client, game, game.players[0], puzzle["puzzle_id"], right_answer(puzzle))
        assert response.status_code == 200
        ready = await client.get("/readyz")
        assert ready.status_code == 200
        assert "valkey" in ready.json()["degraded"]
    assert [event.version for event in rows.events(game.session_id)] == [1, 2]
    assert answers("solved") == before + 1


async def test_without_its_database_it_is_alive_but_not_ready(game: Game, redis_url: str) -> None:
    nowhere = f"postgresql://baton@127.0.0.1:{any_free()}/baton"
    async with running(create_app(PuzzleSettings(database_url=nowhere, redis_url=redis_url))) as client:
        assert (await client.get("/livez")).status_code == 200
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["ready"]) == (503, False)
        player = game.players[0]
        response = await client.get(f"/players/{player}/puzzle", headers=bearer(game.token(player)))
        assert problem(response) == (503, "temporarily_unavailable")
        assert response.headers["retry-after"] == "1"


async def test_it_is_ready_when_all_is_there_and_tells_its_metrics(database_url: str, redis_url: str) -> None:
    settings = PuzzleSettings(database_url=database_url, redis_url=redis_url)
    assert settings.port == 8002
    async with running(create_app(settings)) as client:
        ready = await client.get("/readyz")
        assert ready.json() == {"ready": True, "checks": {"database": "ok"}, "degraded": {}}
        assert "baton_answers_total" in (await client.get("/metrics")).text
        paths = (await client.get("/openapi.json")).json()["paths"]
        assert {"/puzzles", "/players/{player_id}/puzzle", "/puzzles/{puzzle_id}/answer", "/puzzle-types"} <= set(paths)


async def _never(*_: object) -> None:
    raise AssertionError("FastAPI was asked")


async def test_a_well_formed_answer_of_our_own_page_does_not_need_fastapi(
    database: Database, database_url: str, redis_url: str, rows: Rows
) -> None:
    game = await begin(database, Game(players=1, types=["memory"]))
    puzzle = rows.open_puzzle(game.players[0])
    app = create_app(PuzzleSettings(database_url=database_url, redis_url=redis_url))
    async with running(app) as client:
        assert (await client.get("/livez")).status_code == 200
        front: Any = app.middleware_stack
        while not isinstance(front, Front):
            front = front.app
        front._app = _never
        given = client, game, game.players[0], puzzle["puzzle_id"], right_answer(puzzle)
        response = await answer(*given, Origin="https://page.example", Content_Type="application/json")
    assert response.status_code == 200


async def test_a_page_of_an_allowed_origin_may_read_what_its_answer_led_to(
    database: Database, database_url: str, redis_url: str, rows: Rows
) -> None:
    game = await begin(database, Game(players=1, types=["memory"]))
    puzzle = rows.open_puzzle(game.players[0])
    settings = PuzzleSettings(database_url=database_url, redis_url=redis_url, cors_origins="https://page.example")
    async with running(create_app(settings)) as client:
        given = client, game, game.players[0], puzzle["puzzle_id"], right_answer(puzzle)
        response = await answer(*given, Origin="https://page.example")
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "https://page.example"
