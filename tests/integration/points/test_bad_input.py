"""Whatever is sent: a problem document with a stable code, nothing changed, and never a fault of the server."""

from typing import Any

import httpx
import pytest

from services.kit.front import MAX_BODY_BYTES
from tests.points_game import OPERATOR, Rows, Team, bearer, problem

pytestmark = pytest.mark.anyio

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"{'name': 'x'}", b'{"name": "x"', b"\xff\xfe", b'{"name": \x00}', b"[" * 30_000, b"1" * 5_000],
)
async def test_malformed_json_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    response = await client.post("/teams", content=body, headers=JSON)
    assert problem(response)[0] in {400, 422}


async def test_malformed_json_says_so(client: httpx.AsyncClient) -> None:
    assert problem(await client.post("/teams", content=b"{", headers=JSON)) == (400, "malformed_json")


@pytest.mark.parametrize("body", [b"null", b"[]", b'"name"', b"5", b"{}", b'{"name": null}', b'{"name": {}}'])
async def test_json_of_another_shape_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    assert problem(await client.post("/teams", content=body, headers=JSON)) == (422, "invalid_request")


@pytest.mark.parametrize(
    "name",
    ["", "   ", "x" * 41, "a\x00b", "a\nb", "\x1b[31m", "\x7f", "<b>", 5, None, True, ["x"], {"a": 1}],
)
async def test_a_name_is_a_short_line_of_text(client: httpx.AsyncClient, rows: Rows, name: Any) -> None:
    team = await Team.make(client)
    assert problem(await client.post("/teams", json={"name": name})) == (422, "invalid_request")
    assert problem(await team.try_join(name)) == (422, "invalid_request")
    assert rows.value("SELECT count(*) FROM points.players") == 0


@pytest.mark.parametrize("name", ["Zoë", "李", "🦦🦦", "O'Brien; DROP TABLE", "%s", "x" * 40])
async def test_a_name_may_be_in_any_script(client: httpx.AsyncClient, name: str) -> None:
    team = await Team.make(client)
    session_id = await team.open()
    await team.join(name)
    assert (await team.state(session_id)).players[0].name == name


@pytest.mark.parametrize(
    "body",
    [
        rb'{"name": "\ud800"}',
        rb'{"name": "\ud83e\udda6", "\ud800": 1}',
        b'{"name": "\xed\xa0\x80"}',
        rb'{"name": "\u0000"}',
        rb'{"name": "x", "\u0000": 1}',
    ],
)
async def test_text_that_is_no_text_is_refused(client: httpx.AsyncClient, rows: Rows, body: bytes) -> None:
    """Half a surrogate pair gets through JSON parsers and cannot be written anywhere."""
    assert problem(await client.post("/teams", content=body, headers=JSON))[0] in {400, 422}
    assert rows.value("SELECT count(*) FROM points.teams") == 0


@pytest.mark.parametrize(
    "rules",
    [
        rb'{"\ud800": 1}',
        rb'{"puzzle_types": ["\ud800"]}',
        rb'{"award_target": "\ud800"}',
        rb'{"\u0000": 1}',
        rb'{"puzzle_types": ["\u0000"]}',
        b'{"award": NaN}',
        b'{"award": Infinity}',
        b'{"award": 1e400}',
        b'{"award": 1' + b"0" * 400 + b"}",
        b'{"award": ' + b'{"a":' * 200 + b"1" + b"}" * 200 + b"}",
        b"null",
        b"[]",
    ],
)
async def test_odd_rules_are_refused(client: httpx.AsyncClient, rows: Rows, rules: bytes) -> None:
    team = await Team.make(client, 1)
    response = await client.post(
        "/sessions", content=b'{"rules": ' + rules + b"}", headers={**bearer(team.host), **JSON}
    )
    status, code = problem(response)
    assert (status, code) in {(422, "invalid_rules"), (422, "invalid_request"), (400, "malformed_json")}
    assert rows.value("SELECT count(*) FROM points.sessions") == 0


async def test_no_depth_of_nesting_is_a_fault_of_the_server(client: httpx.AsyncClient) -> None:
    team = await Team.make(client, 1)
    for depth in range(50, 1_100, 50):
        body = b'{"rules": {"award": ' + b"[" * depth + b"]" * depth + b"}}"
        response = await client.post("/sessions", content=body, headers={**bearer(team.host), **JSON})
        assert problem(response)[0] in {400, 422}, depth


async def test_unknown_fields_are_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/teams", json={"name": "Otters", "nmae": "x"})
    assert problem(response) == (422, "invalid_request")
    assert "nmae" in response.json()["detail"]


@pytest.mark.parametrize("colour", ["red", "#12345", "#1234567", "#gggggg", "", 5, "javascript:x"])
async def test_a_colour_is_six_hexadecimal_digits(client: httpx.AsyncClient, colour: Any) -> None:
    team = await Team.make(client)
    assert problem(await team.try_join("Ada", colour=colour)) == (422, "invalid_request")


@pytest.mark.parametrize("code", ["a" * 21, "%00", "a%20b", "..", "é", "' OR 1=1"])
async def test_a_code_is_letters_and_digits(client: httpx.AsyncClient, code: str) -> None:
    response = await client.post(f"/teams/{code}/players", json={"name": "Ada"})
    assert problem(response)[0] in {404, 405, 422}


@pytest.mark.parametrize("ident", ["1", "not-a-uuid", "00000000-0000-0000-0000-00000000000g", "%00", "null"])
async def test_an_id_is_a_uuid(client: httpx.AsyncClient, ident: str) -> None:
    team = await Team.make(client)
    for path in (f"/sessions/{ident}", f"/teams/{ident}", f"/teams/{ident}/points", f"/sessions/{ident}/ledger"):
        response = await client.get(path, headers=bearer(team.host))
        assert problem(response) == (422, "invalid_request"), path


@pytest.mark.parametrize("ready", ["perhaps", 2, None, []])
async def test_ready_is_yes_or_no(client: httpx.AsyncClient, ready: Any) -> None:
    team = await Team.make(client, 1)
    session_id = await team.open()
    response = await client.post(f"/sessions/{session_id}/ready", json={"ready": ready}, headers=bearer(team.tokens[0]))
    assert problem(response) == (422, "invalid_request")
    assert (await team.state(session_id)).players[0].ready is False


async def test_a_body_has_a_greatest_size_announced_or_not(client: httpx.AsyncClient, rows: Rows) -> None:
    body = b'{"name": "' + b"x" * MAX_BODY_BYTES + b'"}'

    async def parts() -> Any:
        for start in range(0, len(body), 8_192):
            yield body[start : start + 8_192]

    announced = await client.post("/teams", content=body, headers=JSON)
    streamed = await client.post("/teams", content=parts(), headers=JSON)
    assert problem(announced) == problem(streamed) == (413, "body_too_large")
    assert rows.value("SELECT count(*) FROM points.teams") == 0


async def test_a_body_just_under_the_limit_is_read(client: httpx.AsyncClient) -> None:
    body = b'{"name": "Otters"' + b" " * (MAX_BODY_BYTES - 18) + b"}"
    assert len(body) == MAX_BODY_BYTES
    assert (await client.post("/teams", content=body, headers=JSON)).status_code == 201


async def test_unknown_addresses_and_methods_are_problems_too(client: httpx.AsyncClient) -> None:
    assert problem(await client.get("/nowhere")) == (404, "not_found")
    response = await client.put("/teams", json={})
    assert problem(response) == (405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml"])
async def test_a_body_that_is_not_called_json_is_not_read_as_such(client: httpx.AsyncClient, content_type: str) -> None:
    response = await client.post("/teams", content=b'{"name": "x"}', headers={"Content-Type": content_type})
    assert problem(response) == (422, "invalid_request")


@pytest.mark.parametrize("body", [{"session_id": "x"}, {"session_id": 5}, {"tick": 1}, [], "now"])
async def test_a_trigger_of_another_shape_is_refused(client: httpx.AsyncClient, body: Any) -> None:
    response = await client.post("/points/decay", json=body, headers=OPERATOR)
    assert problem(response) == (422, "invalid_request")
