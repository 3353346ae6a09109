"""Errors as clients see them: problem documents, also where nobody thought of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import psycopg
import pytest
from fastapi import APIRouter, FastAPI
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.kit.database_errors import DATABASE_ERRORS
from services.kit.problem import Problem
from services.kit.server_settings import ServerSettings
from services.kit.web import create_app
from tests.points_game import problem

pytestmark = pytest.mark.anyio

RAISES: dict[str, Exception] = {
    "problem": Problem(409, "somebody_was_faster", "Another got it.", by="Ada"),
    "quoting": Problem(422, "odd", "You said \ud800."),
    "unexpected": RuntimeError("the secret is 42"),
    "away": DBAPIError("SELECT 1", {}, psycopg.OperationalError("away")),
    "deadlock": DBAPIError("SELECT 1", {}, psycopg.errors.DeadlockDetected("both")),
    "wrong": DBAPIError("SELECT 1", {}, psycopg.errors.UndefinedTable("the secret is 42")),
    "no_connection": PoolTimeout("none free"),
}
router = APIRouter()


@router.get("/raise/{name}")
async def fail(name: str) -> None:
    raise RAISES[name]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = create_app("test", "", ServerSettings(), lifespan, [router], exception_handlers=DATABASE_ERRORS)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_a_problem_tells_its_code_and_what_belongs_to_it(client: httpx.AsyncClient) -> None:
    response = await client.get("/raise/problem")
    assert problem(response) == (409, "somebody_was_faster")
    assert response.json() == {
        "type": "urn:baton:problem:somebody_was_faster",
        "title": "Conflict",
        "status": 409,
        "detail": "Another got it.",
        "code": "somebody_was_faster",
        "by": "Ada",
    }


async def test_what_cannot_be_encoded_is_quoted_as_far_as_it_can(client: httpx.AsyncClient) -> None:
    response = await client.get("/raise/quoting")
    assert problem(response) == (422, "odd")
    assert response.json()["detail"] == "You said ?."


@pytest.mark.parametrize("name", ["unexpected", "wrong"])
async def test_a_fault_of_the_server_tells_nothing_of_its_inside(client: httpx.AsyncClient, name: str) -> None:
    response = await client.get(f"/raise/{name}")
    assert problem(response) == (500, "internal_error")
    assert "42" not in response.text


@pytest.mark.parametrize("name", ["away", "deadlock", "no_connection"])
async def test_what_may_work_the_next_time_is_503(client: httpx.AsyncClient, name: str) -> None:
    response = await client.get(f"/raise/{name}")
    assert problem(response) == (503, "temporarily_unavailable")
    assert response.headers["retry-after"] == "1"


async def test_the_document_says_that_errors_are_problem_documents(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    for _ in range(2):  # it is kept after the first time
        responses = document["paths"]["/raise/{name}"]["get"]["responses"]
        for status in ("401", "404", "409", "422", "503"):
            assert list(responses[status]["content"]) == ["application/problem+json"]
        assert list(responses["200"]["content"]) == ["application/json"]
        document = (await client.get("/openapi.json")).json()
