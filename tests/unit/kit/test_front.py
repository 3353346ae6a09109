"""The front: what it measures and refuses, and the short way of what is well-formed."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from prometheus_client import REGISTRY
from starlette.types import Scope

from services.kit.front import MAX_BODY_BYTES, ShortWay
from services.kit.problem import Problem
from services.kit.server_settings import ServerSettings
from services.kit.web import create_app
from tests.points_game import problem

pytestmark = pytest.mark.anyio

router = APIRouter()


@router.post("/say/{word}")
async def say(word: str) -> str:
    return f"long {word}"


def take(scope: Scope, body: bytes) -> Awaitable[bytes] | None:
    return None if body.startswith(b"odd") else _short(scope["path"])


async def _short(path: str) -> bytes:
    word = path.rpartition("/")[2]
    if word == "refused":
        raise Problem(409, "not_now", "Later.")
    if word == "broken":
        raise RuntimeError("the secret is 42")
    return b'"short %s"' % word.encode()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = create_app("front", "", ServerSettings(), lifespan, [router], short_way=ShortWay("/say/{word}", take))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def counted(status: int) -> float:
    labels = {"service": "front", "method": "POST", "route": "/say/{word}", "status": str(status)}
    return REGISTRY.get_sample_value("baton_http_seconds_count", labels) or 0.0


async def test_what_the_short_way_knows_is_served_there_and_the_rest_by_the_application(
    client: httpx.AsyncClient,
) -> None:
    short = await client.post("/say/this", content=b"plain")
    assert (short.status_code, short.json()) == (200, "short this")
    assert short.headers["content-type"] == "application/json"
    assert (await client.post("/say/this", content=b"odd")).json() == "long this"


async def test_either_way_is_measured_under_the_same_route(client: httpx.AsyncClient) -> None:
    before = counted(200)
    for body in (b"plain", b"odd"):
        await client.post("/say/this", content=body)
    assert counted(200) == before + 2


async def test_what_is_refused_on_the_short_way_is_a_problem_document_as_ever(client: httpx.AsyncClient) -> None:
    before = counted(409)
    assert problem(await client.post("/say/refused")) == (409, "not_now")
    assert counted(409) == before + 1


async def test_a_fault_on_the_short_way_tells_nothing_of_its_inside(client: httpx.AsyncClient) -> None:
    before = counted(500)
    response = await client.post("/say/broken")
    assert problem(response) == (500, "internal_error")
    assert "42" not in response.text
    assert counted(500) == before + 1


async def test_a_body_over_the_limit_takes_no_way(client: httpx.AsyncClient) -> None:
    assert problem(await client.post("/say/this", content=b"a" * (MAX_BODY_BYTES + 1))) == (413, "body_too_large")

    async def stream() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"a" * (MAX_BODY_BYTES // 2)

    assert problem(await client.post("/say/this", content=stream())) == (413, "body_too_large")
