"""Sessions over HTTP: the lobby, the start, the early end, the results."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from contracts.rooms import EndReason, Status
from services.kit.database import Database
from services.points.service import answers, sessions, settling
from services.points.service import games as games_service
from tests.points_game import Rows, Team, bearer, begin, problem, vouching

pytestmark = pytest.mark.anyio


async def test_a_new_session_has_the_teams_players_and_the_default_rules(client: httpx.AsyncClient, rows: Rows) -> None:
    team = await Team.make(client, 2)
    response = await team.try_open()
    assert response.status_code == 201
    body = response.json()
    assert (body["seq"], body["state"]["status"]) == (3, "lobby")
    assert body["state"]["rules"]["start_points"] == 15
    assert [player["name"] for player in body["state"]["players"]] == ["Player 0", "Player 1"]
    assert body["epoch"] == rows.value("SELECT epoch FROM points.epoch")
    assert body["now"] >= body["state"]["created_at"]


async def test_the_session_is_the_same_for_everybody_and_equals_the_replayed_log(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    game = await begin(client, database)
    states = []
    for token in (game.team.host, *game.team.tokens):
        states.append((await client.get(f"/sessions/{game.session_id}", headers=bearer(token))).json()["state"])
    assert states[0] == states[1] == states[-1]
    assert await game.state() == rows.replayed(game.session_id)


async def test_a_team_has_one_unfinished_session(client: httpx.AsyncClient) -> None:
    team = await Team.make(client, 1)
    session_id = await team.open()
    assert problem(await team.try_open()) == (409, "session_exists")
    await team.as_host(session_id, "end")
    assert await team.open() != session_id


async def test_of_sessions_opened_at_one_moment_one_is(client: httpx.AsyncClient) -> None:
    team = await Team.make(client, 1)
    responses = await asyncio.gather(*(team.try_open() for _ in range(4)))
    assert sorted(response.status_code for response in responses) == [201, 409, 409, 409]


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ({"award": -1}, "award"),
        ({"interval_ms": 249}, "interval_ms"),
        ({"puzzle_types": ["chess"]}, "puzzle_types"),
        ({"puzzle_types": ["memory", 5]}, "puzzle_types"),
        ({"award_target": None}, "award_target"),
        ({"start_points": 10**40}, "start_points"),
        ({"nonsense\x00": 1}, "nonsense\x00"),
    ],
)
async def test_bad_rules_are_refused_naming_the_field(
    client: httpx.AsyncClient, rules: dict[str, Any], field: str
) -> None:
    team = await Team.make(client, 1)
    response = await team.try_open(**rules)
    assert problem(response) == (422, "invalid_rules")
    assert response.json()["field"] == field
    assert (await team.get(f"/teams/{team.team_id}"))["session_id"] is None


async def test_a_team_that_is_too_big_for_the_rules_is_refused(client: httpx.AsyncClient) -> None:
    team = await Team.make(client, 3)
    assert problem(await team.try_open(seats=2)) == (409, "team_full")


async def test_a_player_is_ready_and_not_ready_after_all(client: httpx.AsyncClient, rows: Rows) -> None:
    team = await Team.make(client, 2)
    session_id = await team.open()
    player = bearer(team.tokens[1])
    path = f"/sessions/{session_id}/ready"
    for body, ready in ((None, True), ({"ready": False}, False), ({"ready": True}, True), ({}, True)):
        response = await client.post(path, json=body, headers=player)
        assert response.status_code == 200
        assert [p["ready"] for p in response.json()["state"]["players"]] == [False, ready]
    types = [row["type"] for row in rows.all("SELECT type FROM points.session_events ORDER BY seq")]
    assert types[3:] == ["player.ready"] * 3  # the last one changed nothing


async def test_a_session_needs_a_player_to_start(client: httpx.AsyncClient) -> None:
    team = await Team.make(client)
    session_id = await team.open()
    assert problem(await team.as_host(session_id, "start")) == (409, "no_players")
    assert (await team.state(session_id)).status is Status.LOBBY


async def test_the_start_begins_a_countdown_and_tells_the_puzzle_service(client: httpx.AsyncClient, rows: Rows) -> None:
    team = await Team.make(client, 2)
    session_id = await team.open(countdown_ms=3_000)
    response = await team.as_host(session_id, "start")
    state = response.json()["state"]
    assert state["status"] == "countdown"
    assert 0 <= response.json()["now"] - (state["starts_at"] - 3_000) < 2_000
    assert rows.value("SELECT version FROM points.outbox WHERE session_id = %s", session_id) == 1


async def test_a_session_starts_once(client: httpx.AsyncClient) -> None:
    team = await Team.make(client, 1)
    session_id = await team.open()
    responses = await asyncio.gather(*(team.as_host(session_id, "start") for _ in range(4)))
    assert sorted(response.status_code for response in responses) == [200, 409, 409, 409]
    assert {problem(r) for r in responses if r.status_code == 409} == {(409, "session_not_in_lobby")}


async def test_after_the_start_nobody_gets_ready(client: httpx.AsyncClient) -> None:
    team = await Team.make(client, 1)
    session_id = await team.open()
    await team.start(session_id)
    response = await client.post(f"/sessions/{session_id}/ready", headers=bearer(team.tokens[0]))
    assert problem(response) == (409, "session_not_in_lobby")


@pytest.mark.parametrize("started", [False, True])
async def test_a_session_that_has_not_begun_is_ended_at_once(client: httpx.AsyncClient, started: bool) -> None:
    team = await Team.make(client, 1)
    session_id = await team.open()
    if started:
        await team.start(session_id)
    response = await team.as_host(session_id, "end")
    assert response.status_code == 200
    state = response.json()["state"]
    assert (state["status"], state["survival_ms"], state["end_reason"]) == ("finished", 0, "ended_by_host")
    results = await team.get(f"/sessions/{session_id}/results")
    assert (results["survival_ms"], results["players"][0]["survived_ms"]) == (0, 0)


async def test_a_running_game_ends_once_all_earlier_answers_are_in(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    game = await begin(client, database)
    given_before = game.puzzles.solved(game.players[0], game.started_at + 1)
    response = await game.team.as_host(game.session_id, "end")
    assert response.json()["state"]["status"] == "active"
    ask = vouching(database, given_before.version)

    assert await settling.settle_due(database, ask) == 0
    assert (await game.state()).status is Status.ACTIVE

    async with database.transaction() as transaction:
        await answers.apply(transaction, given_before)
    assert await settling.settle_due(database, ask) == 1
    state = await game.state()
    assert (state.status, state.end_reason) == (Status.FINISHED, EndReason.ENDED_BY_HOST)
    assert state.survival_ms == rows.value("SELECT ending_at FROM points.sessions") - game.started_at
    assert [player.base for player in state.players] == [15, 20, 15]


async def test_ending_again_and_again_changes_nothing(client: httpx.AsyncClient, rows: Rows) -> None:
    team = await Team.make(client, 1)
    session_id = await team.open()
    first = (await team.as_host(session_id, "end")).json()
    again = (await team.as_host(session_id, "end")).json()
    assert again["state"] == first["state"]
    assert again["seq"] == first["seq"]
    assert rows.value("SELECT count(*) FROM points.session_events WHERE type = 'session.finished'") == 1


@pytest.mark.parametrize("verb", ["start", "ready"])
async def test_nothing_begins_after_the_end(client: httpx.AsyncClient, verb: str) -> None:
    team = await Team.make(client, 1)
    session_id = await team.open()
    await team.as_host(session_id, "end")
    token = team.host if verb == "start" else team.tokens[0]
    response = await client.post(f"/sessions/{session_id}/{verb}", headers=bearer(token))
    assert problem(response) == (409, "session_not_in_lobby")


async def test_there_are_results_once_the_game_is_over(client: httpx.AsyncClient, database: Database) -> None:
    game = await begin(client, database, players=2)
    path = f"/sessions/{game.session_id}/results"
    assert problem(await client.get(path, headers=bearer(game.team.host))) == (409, "session_not_finished")
    first, second = game.players
    at = game.started_at
    for event in (
        game.puzzles.solved(first, at + 10, kind="memory"),
        game.puzzles.failed(first, at + 20, kind="spatial"),
        game.puzzles.expired(second, at + 30, kind="memory"),
    ):
        async with database.transaction() as transaction:
            await answers.apply(transaction, event)
    async with database.transaction() as transaction:
        locked = await games_service.lock(transaction, game.session_id)
        locked.advance(at + 40 * 3_600_000)
        await games_service.keep(transaction, locked)
    results = await game.team.get(path)
    assert (results["survival_ms"], results["end_reason"]) == (20 * 3_600_000, EndReason.ALL_OUT.value)
    ada, bob = results["players"]
    assert (ada["solved"], ada["failed"], ada["expired"]) == (1, 1, 0)
    assert ada["by_type"] == {
        "memory": {"solved": 1, "failed": 0, "expired": 0},
        "spatial": {"solved": 0, "failed": 1, "expired": 0},
    }
    assert (ada["points_given"], bob["points_received"]) == (5, 5)
    assert (ada["survived_ms"], bob["survived_ms"]) == (15 * 3_600_000, 20 * 3_600_000)
    assert results["kept_alive"] == [
        {"from_player_id": str(first), "to_player_id": str(second), "points": 5, "awards": 1}
    ]


async def test_lobbies_that_nobody_starts_are_closed(client: httpx.AsyncClient, database: Database, rows: Rows) -> None:
    old, young, started = [await Team.make(client, 1) for _ in range(3)]
    ids = [await team.open() for team in (old, young, started)]
    await started.start(ids[2])
    rows.change(
        "UPDATE points.sessions SET created_at = created_at - 10000 WHERE session_id = ANY(%s)", [ids[0], ids[2]]
    )
    async with database.transaction() as transaction:
        assert await sessions.close_abandoned(transaction, 9_000) == 1
    state = await old.state(ids[0])
    assert (state.status, state.end_reason) == (Status.FINISHED, EndReason.ABANDONED)
    assert (await young.state(ids[1])).status is Status.LOBBY
    assert (await started.state(ids[2])).status is Status.COUNTDOWN


async def test_what_is_read_while_others_write_is_of_one_moment(client: httpx.AsyncClient) -> None:
    """`seq` and `state` belong together, or a client that goes on from them counts something twice."""
    team = await Team.make(client, 1)
    session_id = await team.open()
    first = (await team.get(f"/sessions/{session_id}"))["seq"]

    async def write() -> None:
        for number in range(40):
            body = {"ready": number % 2 == 0}
            await client.post(f"/sessions/{session_id}/ready", json=body, headers=bearer(team.tokens[0]))

    writing = asyncio.create_task(write())
    while not writing.done():
        body = await team.get(f"/sessions/{session_id}")
        assert body["state"]["players"][0]["ready"] is ((body["seq"] - first) % 2 == 1)
    await writing


async def test_a_session_of_an_unknown_id_is_not_found(client: httpx.AsyncClient) -> None:
    team = await Team.make(client, 1)
    response = await client.get(f"/sessions/{uuid4()}", headers=bearer(team.host))
    assert problem(response) == (404, "session_not_found")
