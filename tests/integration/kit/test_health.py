"""/livez, /readyz and /metrics."""

import asyncio

import pytest
from fastapi import FastAPI

from baton.servers import Valkey
from services.kit import health
from services.kit.health import Health
from services.kit.supervise import Supervisor
from services.points.main import application
from services.points.settings import PointsSettings
from tests.points_game import running, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def app(clean: None, points_app: FastAPI) -> FastAPI:
    return points_app


async def test_a_service_with_all_it_needs_is_ready(app: FastAPI) -> None:
    async with running(app) as client:
        assert (await client.get("/livez")).json() == {"alive": True}
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]) == (200, {"database": "ok"})


async def test_without_valkey_it_is_degraded_and_recovers(app: FastAPI, valkey: Valkey) -> None:
    async with running(app) as client:

        async def degraded() -> dict[str, str]:
            response = await client.get("/readyz")
            assert (response.status_code, response.json()["ready"]) == (200, True)
            found: dict[str, str] = response.json()["degraded"]
            return found

        valkey.stop()
        try:
            assert "valkey" in await degraded()
            await until(lambda: _with(degraded, "task puzzle events"))
        finally:
            valkey.start()
        await until(lambda: _empty(degraded))


async def _with(degraded: object, name: str) -> bool:
    return name in await degraded()  # type: ignore[operator]


async def _empty(degraded: object) -> bool:
    return not await degraded()  # type: ignore[operator]


async def test_a_check_that_hangs_is_a_check_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_TIMEOUT_S", 0.02)

    async def hang() -> None:
        await asyncio.Event().wait()

    async def fail() -> None:
        raise ConnectionError("gone")

    async def work() -> None:
        pass

    found = await Health(Supervisor(), required={"a": hang, "b": work}, helpful={"c": fail, "d": work}).readiness()
    assert not found.ready
    assert found.checks["a"].startswith("TimeoutError")
    assert found.checks["b"] == "ok"
    assert found.degraded == {"c": "ConnectionError: gone"}


async def test_metrics_are_prometheus_text_with_the_route_and_not_the_address(app: FastAPI) -> None:
    async with running(app) as client:
        await client.get("/teams/00000000-0000-4000-8000-000000000000")
        await client.get("/nowhere/at/all")
        text = (await client.get("/metrics")).text
    assert 'baton_http_seconds_count{method="GET",route="/teams/{team_id}",service="points",status="401"}' in text
    assert "00000000-0000-4000-8000-000000000000" not in text
    assert "/nowhere" not in text


async def test_nobody_but_the_browsers_own_page_may_call_unless_told(app: FastAPI) -> None:
    async with running(app) as client:
        response = await client.get("/livez", headers={"Origin": "https://elsewhere.example"})
        assert "access-control-allow-origin" not in response.headers


async def test_allowed_origins_may_call_with_tokens_and_keys(database_url: str, redis_url: str) -> None:
    settings = PointsSettings(database_url=database_url, redis_url=redis_url, cors_origins="https://play.example")
    async with running(application(settings)) as client:
        response = await client.options(
            "/teams",
            headers={
                "Origin": "https://play.example",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
            },
        )
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == "https://play.example"
        refused = await client.get("/livez", headers={"Origin": "https://elsewhere.example"})
        assert "access-control-allow-origin" not in refused.headers
