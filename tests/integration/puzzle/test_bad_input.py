"""Whatever is sent, the answer is a problem document with a stable code, and nothing has changed."""

import base64
import json
import time
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.ids import PlayerId
from services.kit.database import Database
from services.kit.tokens import DEVELOPMENT_PRIVATE_KEY, Role, Signer
from tests.puzzle_game import Game, Rows, answer, bearer, begin, problem, right_answer, signer

pytestmark = pytest.mark.anyio


async def send(client: httpx.AsyncClient, path: str, body: bytes, token: str) -> tuple[int, str]:
    headers = bearer(token, Content_Type="application/json")
    return problem(await client.post(path, content=body, headers=headers))


@pytest.fixture
def puzzle(game: Game, rows: Rows) -> dict[str, Any]:
    return rows.open_puzzle(game.players[0])


async def test_without_a_valid_token_nothing_is_told(client: httpx.AsyncClient, game: Game) -> None:
    player = game.players[0]
    stranger = base64.urlsafe_b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()
    token = game.token(player)
    claims = jwt.decode(token, options={"verify_signature": False})
    unsigned = jwt.encode(claims, "", algorithm="none")
    header, _, signature = token.split(".")
    other_claims = jwt.encode({**claims, "sub": str(game.players[1])}, "x" * 32, algorithm="HS256").split(".")[1]
    refused = {
        "": "token_missing",
        "Basic abc": "token_missing",
        "Bearer nonsense": "token_invalid",
        f"Bearer {unsigned}": "token_invalid",
        f"Bearer {header}.{other_claims}.{signature}": "token_invalid",
        f"Bearer {Signer(stranger, 60).sign(player, game.team_id, Role.PLAYER)}": "token_invalid",
        f"Bearer {Signer(DEVELOPMENT_PRIVATE_KEY, -60).sign(player, game.team_id, Role.PLAYER)}": "token_expired",
    }
    for authorization, code in refused.items():
        headers = {"Authorization": authorization} if authorization else {}
        for method, path in (("GET", f"/players/{player}/puzzle"), ("POST", f"/puzzles/{uuid4()}/answer")):
            response = await client.request(method, path, headers=headers, json={"answer": {}})
            assert problem(response) == (401, code)
            assert response.headers["www-authenticate"] == "Bearer"
    assert int(time.time()) < claims["exp"]


async def test_a_token_opens_its_own_seat_and_nothing_else(
    client: httpx.AsyncClient, database: Database, game: Game, puzzle: dict[str, Any], rows: Rows
) -> None:
    owner, mate = game.players[:2]
    stranger = await begin(database, Game())
    path, right = f"/puzzles/{puzzle['puzzle_id']}/answer", {"answer": right_answer(puzzle)}
    others = [
        game.token(mate),
        game.other_token(Role.HOST),
        game.other_token(Role.SPECTATOR),
        stranger.token(stranger.players[0]),
        signer.sign(owner, game.team_id, Role.HOST),
    ]
    for token in others:
        assert problem(await client.post(path, json=right, headers=bearer(token))) == (403, "not_your_puzzle")
        create = await client.post("/puzzles", json={"player_id": str(owner)}, headers=bearer(token))
        assert problem(create) == (403, "not_your_seat")
    foreign = await client.get(f"/players/{owner}/puzzle", headers=bearer(stranger.token(stranger.players[0])))
    assert problem(foreign) == (403, "not_your_team")
    assert rows.puzzle(puzzle["puzzle_id"])["status"] == "open"
    assert len(rows.events(game.session_id)) == 3


async def test_unknown_ids_are_not_found(client: httpx.AsyncClient, game: Game) -> None:
    player = game.players[0]
    assert problem(await answer(client, game, player, uuid4(), {})) == (404, "puzzle_not_found")
    response = await client.get(f"/players/{uuid4()}/puzzle", headers=bearer(game.token(player)))
    assert problem(response) == (404, "no_open_puzzle")
    nobody = PlayerId(uuid4())
    response = await client.get(f"/players/{nobody}/puzzle", headers=bearer(game.token(nobody)))
    assert problem(response) == (404, "no_open_puzzle")
    assert problem(await client.get("/nothing/here")) == (404, "not_found")
    assert problem(await client.delete("/puzzles")) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    "puzzle_id",
    ["1", "null", "'; DROP TABLE puzzle.puzzles; --", "%00", "00000000-0000-0000-0000-00000000000g", "a" * 5000],
)
async def test_an_id_that_is_none_is_refused(client: httpx.AsyncClient, game: Game, puzzle_id: str) -> None:
    assert problem(await answer(client, game, game.players[0], puzzle_id, {})) == (422, "invalid_request")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (422, "invalid_request")),
        (b"{", (400, "malformed_json")),
        (b'{"answer": {"index": 1}', (400, "malformed_json")),
        (b"\xff\xfe", (400, "malformed_json")),
        (b"[" * 30_000, (400, "bad_request")),
        (b"null", (422, "invalid_request")),
        (b"[]", (422, "invalid_request")),
        (b"{}", (422, "invalid_request")),
        (b'{"answer": null}', (422, "invalid_request")),
        (b'{"answer": [1]}', (422, "invalid_request")),
        (b'{"answer": "red"}', (422, "invalid_request")),
        (b'{"\\ud800": 1, "answer": 1}', (422, "invalid_request")),
        (b'{"answer": {}, "pad": "' + b"a" * 70_000 + b'"}', (413, "body_too_large")),
    ],
    ids=lambda value: value[:12].hex() if isinstance(value, bytes) else value[1],
)
async def test_a_body_that_is_no_request_is_refused(
    client: httpx.AsyncClient, game: Game, puzzle: dict[str, Any], rows: Rows, body: bytes, expected: tuple[int, str]
) -> None:
    token = game.token(game.players[0])
    assert await send(client, f"/puzzles/{puzzle['puzzle_id']}/answer", body, token) == expected
    assert rows.puzzle(puzzle["puzzle_id"])["status"] == "open"


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"index": "1"}',
        '{"index": -1}',
        '{"index": 10}',
        '{"index": 1.5}',
        '{"index": true}',
        '{"index": 1e400}',
        '{"index": NaN}',
        '{"index": 1, "more": 2}',
        '{"index": 1, "\\u0000": 2}',
        '{"index": "\\u0000"}',
        '{"index": "\\ud800"}',
        '{"\\udc00": 1}',
        '{"index": "\'; DROP TABLE puzzle.puzzles; --"}',
        '{"index": ' + "9" * 4_000 + "}",
        '{"index": ' + "[" * 200 + "]" * 200 + "}",
        '{"index": "' + "a" * 60_000 + '"}',
    ],
    ids=lambda text: text[:24],
)
async def test_an_answer_of_the_wrong_shape_is_no_try(
    client: httpx.AsyncClient, database: Database, rows: Rows, text: str
) -> None:
    game = await begin(database, Game(players=1, types=["concentration"]))
    puzzle = rows.open_puzzle(game.players[0])
    body = f'{{"answer": {text}}}'.encode()
    token = game.token(game.players[0])
    assert await send(client, f"/puzzles/{puzzle['puzzle_id']}/answer", body, token) == (422, "invalid_answer")
    assert rows.puzzle(puzzle["puzzle_id"]) == puzzle
    assert len(rows.events(game.session_id)) == 1


async def test_an_integer_no_parser_takes_is_a_bad_request(client: httpx.AsyncClient, game: Game) -> None:
    body = b'{"answer": {"index": ' + b"9" * 5_000 + b"}}"
    assert await send(client, f"/puzzles/{uuid4()}/answer", body, game.token(game.players[0])) == (400, "bad_request")


@pytest.mark.parametrize("key", ["short", "k" * 201, "with space in it", "späte-antwort"])
async def test_a_bad_idempotency_key_is_refused(
    client: httpx.AsyncClient, game: Game, puzzle: dict[str, Any], key: str
) -> None:
    headers = httpx.Headers(bearer(game.token(game.players[0]), Idempotency_Key=key), encoding="latin-1")
    path = f"/puzzles/{puzzle['puzzle_id']}/answer"
    response = await client.post(path, json={"answer": right_answer(puzzle)}, headers=headers)
    assert problem(response) == (422, "invalid_request")


@pytest.mark.parametrize("player_id", [None, 1, "", "nobody", "\0", [], {}, "x" * 10_000])
async def test_a_puzzle_for_nobody_is_refused(client: httpx.AsyncClient, game: Game, player_id: Any) -> None:
    body = json.dumps({"player_id": player_id}).encode()
    assert await send(client, "/puzzles", body, game.token(game.players[0])) == (422, "invalid_request")


@pytest.mark.parametrize("type_name", [1, [], "x" * 65, "\ud800"])
async def test_a_type_that_is_no_name_is_refused(client: httpx.AsyncClient, game: Game, type_name: Any) -> None:
    player = game.players[0]
    body = json.dumps({"player_id": str(player), "type": type_name}).encode()
    assert await send(client, "/puzzles", body, game.token(player)) == (422, "invalid_request")


async def test_a_type_with_a_nul_is_an_unknown_type(client: httpx.AsyncClient, game: Game) -> None:
    player = game.players[0]
    body = json.dumps({"player_id": str(player), "type": "mem\0ory"}).encode()
    assert await send(client, "/puzzles", body, game.token(player)) == (422, "unknown_puzzle_type")
