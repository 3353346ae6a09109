"""A player's token opens that player's seat, and nothing else."""

import base64
import json
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.ids import PlayerId, TeamId
from services.kit.tokens import DEVELOPMENT_PRIVATE_KEY, Role, Signer
from tests.points_game import OPERATOR, Team, bearer, problem

pytestmark = pytest.mark.anyio

SOME_ID = uuid4()
PROTECTED = [
    ("POST", "/tokens/refresh"),
    ("GET", f"/teams/{SOME_ID}"),
    ("GET", f"/teams/{SOME_ID}/points"),
    ("DELETE", f"/teams/{SOME_ID}/players/{SOME_ID}"),
    ("POST", "/sessions"),
    ("GET", f"/sessions/{SOME_ID}"),
    ("GET", f"/sessions/{SOME_ID}/points"),
    ("GET", f"/sessions/{SOME_ID}/ledger"),
    ("GET", f"/sessions/{SOME_ID}/results"),
    ("POST", f"/sessions/{SOME_ID}/ready"),
    ("POST", f"/sessions/{SOME_ID}/start"),
    ("POST", f"/sessions/{SOME_ID}/end"),
]


def token(role: Role, team_id: TeamId, lifetime_s: int = 60, key: str = DEVELOPMENT_PRIVATE_KEY) -> str:
    return Signer(key, lifetime_s).sign(PlayerId(uuid4()), team_id, role)


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def forged() -> list[str]:
    """Tokens that are none, each in its own way."""
    stranger = base64.urlsafe_b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()
    genuine = token(Role.HOST, TeamId(SOME_ID))
    head, claims, signature = genuine.split(".")
    changed = json.loads(base64.urlsafe_b64decode(claims + "=="))
    changed["team"] = str(uuid4())
    header = jwt.get_unverified_header(genuine)
    return [
        "x",
        "a.b.c",
        "é",
        token(Role.HOST, TeamId(SOME_ID), key=stranger),
        f"{head}.{encoded(changed)}.{signature}",
        f"{head}.{claims}.",
        jwt.encode(changed, "", algorithm="none", headers={"kid": header["kid"]}),
        jwt.encode(changed, "k" * 32, algorithm="HS256", headers={"kid": header["kid"]}),
        f"{encoded({'alg': 'EdDSA', 'kid': ['a list']})}.{claims}.{signature}",
        f"{encoded(['no header'])}.{claims}.{signature}",
    ]


async def test_everything_but_making_and_joining_needs_a_token(client: httpx.AsyncClient) -> None:
    for method, path in PROTECTED:
        response = await client.request(method, path, json={} if method == "POST" else None)
        assert problem(response) == (401, "token_missing"), path
        assert response.headers["www-authenticate"] == "Bearer"


async def test_a_forged_token_opens_nothing(client: httpx.AsyncClient) -> None:
    for number, forgery in enumerate(forged()):
        for method, path in PROTECTED[:2] + PROTECTED[4:6]:
            headers = {b"Authorization": f"Bearer {forgery}".encode("latin-1")}
            response = await client.request(method, path, json={} if method == "POST" else None, headers=headers)
            assert problem(response) == (401, "token_invalid"), number


@pytest.mark.parametrize("header", ["Basic QWRhOng=", "Bearer", "bearer", ""])
async def test_other_ways_to_say_who_one_is_are_no_token(client: httpx.AsyncClient, header: str) -> None:
    response = await client.get(f"/teams/{SOME_ID}", headers={"Authorization": header})
    assert problem(response) in {(401, "token_missing"), (401, "token_invalid")}


async def test_an_expired_token_says_so(client: httpx.AsyncClient) -> None:
    team = await Team.make(client)
    expired = token(Role.HOST, team.team_id, lifetime_s=-60)
    response = await client.get(f"/teams/{team.team_id}", headers=bearer(expired))
    assert problem(response) == (401, "token_expired")


async def test_another_teams_tokens_open_nothing_here(client: httpx.AsyncClient) -> None:
    ours, theirs = await Team.make(client, 1), await Team.make(client, 1)
    session_id = await ours.open()
    for foreign in (theirs.host, theirs.tokens[0]):
        for method, path in (
            ("GET", f"/teams/{ours.team_id}"),
            ("GET", f"/teams/{ours.team_id}/points"),
            ("DELETE", f"/teams/{ours.team_id}/players/{ours.players[0]}"),
            ("GET", f"/sessions/{session_id}"),
            ("GET", f"/sessions/{session_id}/points"),
            ("GET", f"/sessions/{session_id}/ledger"),
            ("GET", f"/sessions/{session_id}/results"),
            ("POST", f"/sessions/{session_id}/ready"),
            ("POST", f"/sessions/{session_id}/start"),
            ("POST", f"/sessions/{session_id}/end"),
        ):
            response = await client.request(method, path, headers=bearer(foreign))
            assert problem(response) == (403, "not_your_team"), path
    assert (await ours.state(session_id)).players[0].ready is False


async def test_players_do_not_command_and_the_host_does_not_play(client: httpx.AsyncClient) -> None:
    team = await Team.make(client, 1)
    session_id = await team.open()
    player = bearer(team.tokens[0])
    assert problem(await client.post(f"/sessions/{session_id}/start", headers=player)) == (403, "host_only")
    assert problem(await client.post(f"/sessions/{session_id}/end", headers=player)) == (403, "host_only")
    assert problem(await client.post("/sessions", json={}, headers=player)) == (403, "host_only")
    assert problem(await team.as_host(session_id, "ready")) == (403, "player_only")


async def test_a_token_for_a_team_that_is_not_there_opens_nothing(client: httpx.AsyncClient) -> None:
    nowhere = TeamId(uuid4())
    headers = bearer(token(Role.HOST, nowhere))
    assert problem(await client.get(f"/teams/{nowhere}", headers=headers)) == (404, "team_not_found")
    assert problem(await client.post("/sessions", json={}, headers=headers)) == (404, "team_not_found")
    response = await client.delete(f"/teams/{nowhere}/players/{SOME_ID}", headers=headers)
    assert problem(response) == (404, "team_not_found")


async def test_unknown_sessions_are_not_found(client: httpx.AsyncClient) -> None:
    team = await Team.make(client, 1)
    for method, path in PROTECTED[5:]:
        response = await client.request(method, path, headers=bearer(team.host))
        assert problem(response) == (404, "session_not_found"), path
    response = await client.get(f"/teams/{team.team_id}/points", headers=bearer(team.host))
    assert problem(response) == (404, "session_not_found")


@pytest.mark.parametrize("key", [None, "wrong", "", "development-operator-kez", "é"])
async def test_the_decay_moves_by_the_operators_key_alone(client: httpx.AsyncClient, key: str | None) -> None:
    headers = {} if key is None else {b"X-Operator-Key": key.encode("latin-1")}
    response = await client.post("/points/decay", json={}, headers=headers)
    assert problem(response) == (403, "operator_only")
    assert (await client.post("/points/decay", json={}, headers=OPERATOR)).status_code == 202
