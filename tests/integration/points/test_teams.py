"""Teams over HTTP: making, joining, looking, leaving."""

import asyncio
from uuid import UUID, uuid4

import httpx
import pytest

from contracts.rooms import Status
from services.kit.tokens import Role, Verifier
from services.points.domain.rules import MAX_SEATS
from services.points.service.teams import CODE_LETTERS
from services.points.settings import PointsSettings
from tests.points_game import Rows, Team, bearer, problem

pytestmark = pytest.mark.anyio


async def test_a_new_team_has_a_code_that_people_can_read_out(client: httpx.AsyncClient) -> None:
    response = await client.post("/teams", json={"name": "  Otters  "})
    assert response.status_code == 201
    body = response.json()
    assert body["name"] == "Otters"
    assert len(body["code"]) == 6
    assert set(body["code"]) <= set(CODE_LETTERS)


async def test_the_token_of_who_made_the_team_is_its_hosts(client: httpx.AsyncClient, settings: PointsSettings) -> None:
    team = await Team.make(client)
    identity = Verifier([settings.public_keys]).verify(team.host)
    assert (identity.role, identity.team_id) == (Role.HOST, team.team_id)


async def test_whoever_joins_gets_the_first_free_seat_and_a_token_for_it(
    client: httpx.AsyncClient, settings: PointsSettings
) -> None:
    team = await Team.make(client)
    first = await team.join("Ada")
    second = await team.join("Bob", colour="#00ff00")
    assert [first["seat"], second["seat"]] == [0, 1]
    assert second["colour"] == "#00ff00"
    assert first["colour"] != second["colour"]
    assert first["session_id"] is None
    identity = Verifier([settings.public_keys]).verify(first["token"])
    assert (identity.role, str(identity.subject)) == (Role.PLAYER, first["player_id"])


async def test_a_code_may_be_typed_in_small_letters(client: httpx.AsyncClient) -> None:
    team = await Team.make(client)
    response = await client.post(f"/teams/{team.code.lower()}/players", json={"name": "Ada"})
    assert response.status_code == 201


@pytest.mark.parametrize("code", ["ZZZZZZ", "A", "O0O0O0"])
async def test_an_unknown_code_leads_nowhere(client: httpx.AsyncClient, code: str) -> None:
    for path in ("players", "spectators"):
        response = await client.post(f"/teams/{code}/{path}", json={"name": "Ada"})
        assert problem(response) == (404, "team_not_found")


@pytest.mark.parametrize("names", [("Ada", "Ada"), ("Ada", " aDA "), ("Straße", "STRASSE"), ("I", "\u0130")])
async def test_two_of_one_name_cannot_be_told_apart(client: httpx.AsyncClient, names: tuple[str, str]) -> None:
    """The last pair is the same to the database alone, which then has the last word."""
    team = await Team.make(client)
    await team.join(names[0])
    assert problem(await team.try_join(names[1])) == (409, "name_taken")


async def test_people_of_other_teams_may_have_the_name(client: httpx.AsyncClient) -> None:
    await (await Team.make(client)).join("Ada")
    await (await Team.make(client)).join("Ada")


async def test_a_team_has_at_most_so_many_players(client: httpx.AsyncClient) -> None:
    team = await Team.make(client, MAX_SEATS)
    assert problem(await team.try_join("One More")) == (409, "team_full")


async def test_a_lobby_takes_as_many_as_its_rules_have_seats(client: httpx.AsyncClient) -> None:
    team = await Team.make(client, 1)
    await team.open(seats=2)
    await team.join("Second")
    assert problem(await team.try_join("Third")) == (409, "team_full")
    assert len((await team.get(f"/teams/{team.team_id}"))["players"]) == 2


async def test_whoever_joins_during_the_lobby_is_in_it(client: httpx.AsyncClient) -> None:
    team = await Team.make(client, 1)
    session_id = await team.open()
    joined = await team.join("Late")
    assert joined["session_id"] == str(session_id)
    assert [player.name for player in (await team.state(session_id)).players] == ["Player 0", "Late"]


async def test_nobody_joins_after_the_start(client: httpx.AsyncClient) -> None:
    team = await Team.make(client, 1)
    await team.start(await team.open())
    assert problem(await team.try_join("Late")) == (409, "session_in_progress")
    assert len((await team.get(f"/teams/{team.team_id}"))["players"]) == 1


async def test_people_who_join_at_one_moment_get_different_seats(client: httpx.AsyncClient, rows: Rows) -> None:
    team = await Team.make(client)
    session_id = await team.open(seats=8)
    responses = await asyncio.gather(*(team.try_join(f"P{number}") for number in range(10)))
    joined = [response.json() for response in responses if response.status_code == 201]
    refused = [problem(response) for response in responses if response.status_code != 201]
    assert sorted(body["seat"] for body in joined) == list(range(8))
    assert refused == [(409, "team_full")] * 2
    state = await team.state(session_id)
    assert [player.seat for player in state.players] == list(range(8))
    assert rows.replayed(session_id) == state


async def test_one_name_at_one_moment_is_given_once(client: httpx.AsyncClient) -> None:
    team = await Team.make(client)
    responses = await asyncio.gather(*(team.try_join("Ada") for _ in range(5)))
    assert sorted(response.status_code for response in responses) == [201, 409, 409, 409, 409]


async def test_a_team_is_shown_to_all_of_its_own(client: httpx.AsyncClient) -> None:
    team = await Team.make(client, 2)
    session_id = await team.open()
    spectator = (await client.post(f"/teams/{team.code}/spectators")).json()
    assert spectator["session_id"] == str(session_id)
    for token in (team.host, *team.tokens, spectator["token"]):
        response = await client.get(f"/teams/{team.team_id}", headers=bearer(token))
        body = response.json()
        assert (body["team_id"], body["name"], body["code"]) == (str(team.team_id), "Otters", team.code)
        assert [UUID(player["player_id"]) for player in body["players"]] == team.players
        assert body["session_id"] == str(session_id)
    assert "token" not in response.text


async def test_a_spectator_only_looks(client: httpx.AsyncClient, settings: PointsSettings) -> None:
    team = await Team.make(client, 1)
    session_id = await team.open()
    token = (await client.post(f"/teams/{team.code}/spectators")).json()["token"]
    assert Verifier([settings.public_keys]).verify(token).role is Role.SPECTATOR
    for path in (f"/sessions/{session_id}", f"/sessions/{session_id}/points", f"/sessions/{session_id}/ledger"):
        assert (await client.get(path, headers=bearer(token))).status_code == 200
    for verb, code in (("start", "host_only"), ("end", "host_only"), ("ready", "player_only")):
        response = await client.post(f"/sessions/{session_id}/{verb}", headers=bearer(token))
        assert problem(response) == (403, code)
    response = await client.post("/sessions", json={}, headers=bearer(token))
    assert problem(response) == (403, "host_only")
    response = await client.delete(f"/teams/{team.team_id}/players/{team.players[0]}", headers=bearer(token))
    assert problem(response) == (403, "host_only")


async def test_who_leaves_is_gone_from_team_and_lobby_and_the_seat_is_free(
    client: httpx.AsyncClient, rows: Rows
) -> None:
    team = await Team.make(client, 3)
    session_id = await team.open()
    leaving = team.players[0]
    response = await client.delete(f"/teams/{team.team_id}/players/{leaving}", headers=bearer(team.tokens[0]))
    assert response.status_code == 204
    assert [player.seat for player in (await team.state(session_id)).players] == [1, 2]
    assert (await team.join("New"))["seat"] == 0
    state = await team.state(session_id)
    assert [player.name for player in state.players] == ["New", "Player 1", "Player 2"]
    assert rows.replayed(session_id) == state


async def test_the_host_may_remove_somebody_and_another_player_may_not(client: httpx.AsyncClient) -> None:
    team = await Team.make(client, 2)
    path = f"/teams/{team.team_id}/players/{team.players[1]}"
    assert problem(await client.delete(path, headers=bearer(team.tokens[0]))) == (403, "host_only")
    assert (await client.delete(path, headers=bearer(team.host))).status_code == 204
    assert problem(await client.delete(path, headers=bearer(team.host))) == (404, "player_not_found")


async def test_nobody_leaves_between_start_and_end(client: httpx.AsyncClient) -> None:
    team = await Team.make(client, 2)
    session_id = await team.open()
    await team.start(session_id)
    path = f"/teams/{team.team_id}/players/{team.players[0]}"
    assert problem(await client.delete(path, headers=bearer(team.tokens[0]))) == (409, "session_in_progress")
    assert (await team.as_host(session_id, "end")).status_code == 200
    assert (await team.state(session_id)).status is Status.FINISHED
    assert (await client.delete(path, headers=bearer(team.tokens[0]))).status_code == 204
    assert len((await team.state(session_id)).players) == 2  # what they did stays


async def test_the_token_of_who_left_or_was_removed_opens_nothing_of_the_team(client: httpx.AsyncClient) -> None:
    team = await Team.make(client, 3)
    session_id = await team.open()
    for token, player_id in zip((team.tokens[0], team.host), team.players, strict=False):
        response = await client.delete(f"/teams/{team.team_id}/players/{player_id}", headers=bearer(token))
        assert response.status_code == 204
    for token in team.tokens[:2]:
        for method, path in (
            ("GET", f"/teams/{team.team_id}"),
            ("GET", f"/teams/{team.team_id}/points"),
            ("GET", f"/sessions/{session_id}"),
            ("GET", f"/sessions/{session_id}/points"),
            ("GET", f"/sessions/{session_id}/ledger"),
            ("GET", f"/sessions/{session_id}/results"),
            ("POST", f"/sessions/{session_id}/ready"),
            ("POST", "/tokens/refresh"),
        ):
            response = await client.request(method, path, headers=bearer(token))
            assert problem(response) == (403, "left_team"), path
    assert (await client.get(f"/sessions/{session_id}", headers=bearer(team.tokens[2]))).status_code == 200
    assert [player.ready for player in (await team.state(session_id)).players] == [False]


async def test_an_unknown_player_cannot_leave(client: httpx.AsyncClient) -> None:
    team = await Team.make(client, 1)
    response = await client.delete(f"/teams/{team.team_id}/players/{uuid4()}", headers=bearer(team.host))
    assert problem(response) == (404, "player_not_found")
