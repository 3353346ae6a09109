"""A valid token is changed for one that lasts longer, and that is all it is changed for."""

import time
from uuid import uuid4

import httpx
import pytest

from contracts.ids import PlayerId, TeamId
from services.kit.tokens import DEVELOPMENT_PRIVATE_KEY, Role, Signer, Verifier
from services.points.settings import PointsSettings
from tests.points_game import Team, bearer, problem

pytestmark = pytest.mark.anyio


async def test_everybody_gets_a_token_for_the_same_person_that_lasts_longer(
    client: httpx.AsyncClient, settings: PointsSettings
) -> None:
    team = await Team.make(client, 1)
    spectator = (await client.post(f"/teams/{team.code}/spectators")).json()["token"]
    verifier = Verifier([settings.public_keys])
    for token in (team.host, team.tokens[0], spectator):
        before = verifier.verify(token)
        soon_over = Signer(DEVELOPMENT_PRIVATE_KEY, 30).sign(before.subject, before.team_id, before.role)
        response = await client.post("/tokens/refresh", headers=bearer(soon_over))
        assert response.status_code == 200, response.text
        body = response.json()
        after = verifier.verify(body["token"])
        assert (after.subject, after.team_id, after.role) == (before.subject, before.team_id, before.role)
        assert body["expires_at"] == after.expires_at * 1000
        assert settings.token_lifetime_s - 10 < after.expires_at - time.time() <= settings.token_lifetime_s
        assert (await client.get(f"/teams/{team.team_id}", headers=bearer(body["token"]))).status_code == 200


async def test_an_expired_token_is_not_refreshed(client: httpx.AsyncClient) -> None:
    team = await Team.make(client, 1)
    expired = Signer(DEVELOPMENT_PRIVATE_KEY, -60).sign(team.players[0], team.team_id, Role.PLAYER)
    assert problem(await client.post("/tokens/refresh", headers=bearer(expired))) == (401, "token_expired")


@pytest.mark.parametrize("role", list(Role))
async def test_a_token_of_nobody_is_not_refreshed(client: httpx.AsyncClient, role: Role) -> None:
    stray = Signer(DEVELOPMENT_PRIVATE_KEY, 60).sign(PlayerId(uuid4()), TeamId(uuid4()), role)
    expected = (403, "left_team") if role is Role.PLAYER else (404, "team_not_found")
    assert problem(await client.post("/tokens/refresh", headers=bearer(stray))) == expected
