"""Writes may be repeated: the same key and body give the same response and one effect."""

import asyncio
from typing import Any

import httpx
import pytest

from services.kit.database import Database
from services.points.service import upkeep
from tests.points_game import OPERATOR, Rows, Team, bearer, begin, problem

pytestmark = pytest.mark.anyio
KEY = {"Idempotency-Key": "a-key-of-this-request"}


async def test_a_team_is_made_once(client: httpx.AsyncClient, rows: Rows) -> None:
    first = await client.post("/teams", json={"name": "Otters"}, headers=KEY)
    again = await client.post("/teams", json={"name": "Otters"}, headers=KEY)
    assert (again.status_code, again.json()) == (201, first.json())
    assert rows.value("SELECT count(*) FROM points.teams") == 1


async def test_one_joins_once_and_gets_the_same_token(client: httpx.AsyncClient, rows: Rows) -> None:
    team = await Team.make(client)
    path = f"/teams/{team.code}/players"
    responses = [await client.post(path, json={"name": "Ada"}, headers=KEY) for _ in range(3)]
    assert len({response.text for response in responses}) == 1
    assert rows.value("SELECT count(*) FROM points.players") == 1


async def test_the_same_key_at_one_moment_has_one_effect(client: httpx.AsyncClient, rows: Rows) -> None:
    team = await Team.make(client)
    path = f"/teams/{team.code}/players"
    responses = await asyncio.gather(*(client.post(path, json={"name": "Ada"}, headers=KEY) for _ in range(5)))
    assert {response.status_code for response in responses} == {201}
    assert len({response.text for response in responses}) == 1
    assert rows.value("SELECT count(*) FROM points.players") == 1


async def test_the_key_with_another_body_is_refused(client: httpx.AsyncClient, rows: Rows) -> None:
    await client.post("/teams", json={"name": "Otters"}, headers=KEY)
    response = await client.post("/teams", json={"name": "Badgers"}, headers=KEY)
    assert problem(response) == (422, "idempotency_key_reused")
    assert rows.value("SELECT count(*) FROM points.teams") == 1


async def test_the_key_for_another_address_is_refused(client: httpx.AsyncClient) -> None:
    team = await Team.make(client, 1)
    session_id = await team.open()
    assert (await team.as_host(session_id, "start", **KEY)).status_code == 200
    assert problem(await team.as_host(session_id, "end", **KEY)) == (422, "idempotency_key_reused")


async def test_a_start_may_be_repeated(client: httpx.AsyncClient, rows: Rows) -> None:
    team = await Team.make(client, 1)
    opened = [await client.post("/sessions", json={}, headers=bearer(team.host, **KEY)) for _ in range(2)]
    assert opened[0].json() == opened[1].json()
    session_id = opened[0].json()["session_id"]
    key = {"Idempotency-Key": "another-key-1"}
    first = await team.as_host(session_id, "start", **key)
    again = await team.as_host(session_id, "start", **key)
    assert (first.status_code, again.status_code, again.json()) == (200, 200, first.json())
    assert rows.value("SELECT count(*) FROM points.session_events WHERE type = 'session.countdown'") == 1


@pytest.mark.parametrize("by_the_host", [True, False])
async def test_a_removal_may_be_repeated(client: httpx.AsyncClient, rows: Rows, *, by_the_host: bool) -> None:
    team = await Team.make(client, 2)
    session_id = await team.open()
    path = f"/teams/{team.team_id}/players/{team.players[0]}"
    headers = bearer(team.host if by_the_host else team.tokens[0], **KEY)
    responses = [await client.delete(path, headers=headers) for _ in range(3)]
    assert [(response.status_code, response.content) for response in responses] == [(204, b"")] * 3
    assert rows.value("SELECT count(*) FROM points.session_events WHERE type = 'player.left'") == 1
    other = await client.delete(f"/teams/{team.team_id}/players/{team.players[1]}", headers=bearer(team.host, **KEY))
    assert (other.status_code, len((await team.state(session_id)).players)) == ((422, 1) if by_the_host else (204, 0))
    without = await client.delete(path, headers=bearer(team.host))
    assert problem(without) == (404, "player_not_found")


async def test_a_token_is_refreshed_once_for_a_key(client: httpx.AsyncClient) -> None:
    team = await Team.make(client)
    responses = [await client.post("/tokens/refresh", headers=bearer(team.host, **KEY)) for _ in range(2)]
    assert responses[0].status_code == 200
    assert responses[0].json() == responses[1].json()
    assert (await client.post("/tokens/refresh", headers=bearer(team.host))).json() != responses[0].json()


async def test_the_keys_of_different_callers_are_different_keys(client: httpx.AsyncClient) -> None:
    team = await Team.make(client, 2)
    session_id = await team.open()
    for token in team.tokens:
        response = await client.post(f"/sessions/{session_id}/ready", json={}, headers=bearer(token, **KEY))
        assert response.status_code == 200
    assert [player.ready for player in (await team.state(session_id)).players] == [True, True]


async def test_a_refusal_is_not_kept(client: httpx.AsyncClient) -> None:
    team = await Team.make(client)
    session_id = await team.open()
    assert problem(await team.as_host(session_id, "start", **KEY)) == (409, "no_players")
    await team.join("Ada")
    assert (await team.as_host(session_id, "start", **KEY)).status_code == 200


async def test_ticks_are_asked_for_once(client: httpx.AsyncClient, database: Database, rows: Rows) -> None:
    await begin(client, database)
    runs = [await client.post("/points/decay", json={"ticks": 2}, headers={**OPERATOR, **KEY}) for _ in range(2)]
    assert runs[0].json() == runs[1].json()
    assert rows.value("SELECT count(*) FROM points.tick_requests") == 1


async def test_without_a_key_each_request_counts(client: httpx.AsyncClient, rows: Rows) -> None:
    for _ in range(2):
        await client.post("/teams", json={"name": "Otters"})
    assert rows.value("SELECT count(*) FROM points.teams") == 2


@pytest.mark.parametrize("key", ["short", "x" * 201, "with a space", "schl\u00fcssel-1"])
async def test_a_key_has_a_form(client: httpx.AsyncClient, rows: Rows, key: Any) -> None:
    headers = {"Idempotency-Key": key.encode("latin-1")}
    response = await client.post("/teams", json={"name": "Otters"}, headers=headers)
    assert problem(response) == (422, "invalid_request")
    assert rows.value("SELECT count(*) FROM points.teams") == 0


async def test_keys_are_forgotten_after_a_day(client: httpx.AsyncClient, database: Database, rows: Rows) -> None:
    await client.post("/teams", json={"name": "Old"}, headers=KEY)
    rows.change("UPDATE points.idempotency SET created_at = created_at - 25 * 3600 * 1000")
    await client.post("/teams", json={"name": "New"}, headers={"Idempotency-Key": "a-younger-key"})
    assert await upkeep.forget_old(database) == 1
    assert rows.value("SELECT key FROM points.idempotency") == "a-younger-key"
