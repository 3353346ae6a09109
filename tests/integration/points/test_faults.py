"""A database that is away or fails: 503 and nothing accepted, and everything works again once it is back."""

import psycopg
import pytest
from fastapi import FastAPI

from baton.servers import Postgres
from services.points.main import application
from services.points.settings import PointsSettings
from tests.points_game import Rows, Team, problem, running

pytestmark = pytest.mark.anyio
KEY = {"Idempotency-Key": "the-same-request"}


async def test_without_a_database_nothing_is_accepted(settings: PointsSettings) -> None:
    nowhere = settings.model_copy(update={"database_url": "postgresql://baton@127.0.0.1:1/baton"})
    async with running(application(nowhere)) as client:
        response = await client.post("/teams", json={"name": "Otters"})
        assert problem(response) == (503, "temporarily_unavailable")
        assert response.headers["retry-after"] == "1"
        assert (await client.get("/livez")).status_code == 200
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["ready"]) == (503, False)
        assert ready.json()["checks"]["database"] != "ok"


async def test_a_database_that_stops_and_comes_back_loses_nothing_that_was_accepted(
    app: FastAPI, postgres: Postgres, rows: Rows
) -> None:
    async with running(app) as client:
        team = await Team.make(client, 1)
        postgres.stop()
        try:
            refused = await client.post("/teams", json={"name": "Badgers"}, headers=KEY)
            assert problem(refused) == (503, "temporarily_unavailable")
        finally:
            postgres.start()
        again = await client.post("/teams", json={"name": "Badgers"}, headers=KEY)
        assert again.status_code == 201
        assert (await team.get(f"/teams/{team.team_id}"))["players"][0]["name"] == "Player 0"
        assert rows.value("SELECT count(*) FROM points.teams") == 2


async def test_what_was_not_committed_is_not_called_accepted(fresh_database_url: str, redis_url: str) -> None:
    """The failure comes with the commit itself, when the response was ready."""
    with psycopg.connect(fresh_database_url) as connection:
        connection.execute(
            """
            CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'crashed' USING ERRCODE = '57P01'; END $$;
            CREATE CONSTRAINT TRIGGER fails_at_commit AFTER INSERT ON points.teams
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail()
            """
        )
    async with running(application(PointsSettings(database_url=fresh_database_url, redis_url=redis_url))) as client:
        response = await client.post("/teams", json={"name": "Otters"})
        assert problem(response) == (503, "temporarily_unavailable")
    assert Rows(fresh_database_url).value("SELECT count(*) FROM points.teams") == 0


async def test_a_row_that_somebody_holds_for_too_long_is_no_reason_to_wait_for_ever(
    app: FastAPI, database_url: str
) -> None:
    async with running(app) as client:
        team = await Team.make(client, 1)
        session_id = await team.open()
        with psycopg.connect(database_url) as holder:
            holder.execute("SELECT 1 FROM points.sessions WHERE session_id = %s FOR UPDATE", [session_id])
            assert problem(await team.as_host(session_id, "start")) == (503, "temporarily_unavailable")
        assert (await team.as_host(session_id, "start")).status_code == 200


async def test_without_valkey_everything_is_accepted_and_only_told_later(settings: PointsSettings, clean: None) -> None:
    deaf = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    async with running(application(deaf)) as client:
        team = await Team.make(client, 1)
        await team.start(await team.open())
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["ready"]) == (200, True)
        assert "valkey" in ready.json()["degraded"]
