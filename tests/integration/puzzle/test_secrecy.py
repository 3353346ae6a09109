"""No answer leaves the service before its puzzle is closed."""

from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest

from contracts.puzzles import PuzzleView
from services.kit.database import Database
from services.puzzle import schemas
from tests.puzzle_game import ALL_TYPES, Game, Rows, answer, begin, current, right_answer

pytestmark = pytest.mark.anyio

SECRET = {"hidden", "solution", "seed", "answer"}


def names(value: Any) -> Iterator[str]:
    """All names in a JSON value, wherever they are."""
    if isinstance(value, dict):
        yield from value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        yield from names(part)


def values(value: Any) -> Iterator[Any]:
    """All JSON values in a JSON value, itself too."""
    yield value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        yield from values(part)


def test_an_open_puzzle_has_no_field_for_its_answer_by_type() -> None:
    fields = {"puzzle_id", "type", "difficulty", "view", "opened_at", "deadline"}
    assert set(PuzzleView.__struct_fields__) == fields
    assert set(schemas.PuzzleView.model_fields) == fields


@pytest.mark.parametrize("type_name", ALL_TYPES)
async def test_neither_a_response_nor_an_event_holds_the_answer_of_an_open_puzzle(
    client: httpx.AsyncClient, database: Database, rows: Rows, type_name: str
) -> None:
    game = await begin(database, Game(players=1, types=[type_name]))
    player = game.players[0]
    for _ in range(5):
        shown = await current(client, game, player)
        puzzle = rows.puzzle(shown["puzzle_id"])
        rows.let_time_pass(shown["puzzle_id"])
        [told] = [event for event in rows.events(game.session_id) if shown["puzzle_id"] in str(event)][-1:]
        body = (await answer(client, game, player, puzzle["puzzle_id"], right_answer(puzzle))).json()
        following = rows.open_puzzle(player)

        event = msgspec.to_builtins(told)
        for public in (shown, event.get("puzzle", event.get("next")), body["next"]):
            assert not SECRET & set(names(public))
        assert puzzle["hidden"] not in values(shown)
        assert following["hidden"] not in values(body["next"])
        for secret in (puzzle["seed"], rows.one("SELECT seed FROM puzzle.sessions")["seed"]):
            assert str(secret) not in str(shown)
            assert str(secret) not in str(body)
            assert str(secret) not in str(event)
