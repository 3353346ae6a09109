"""The points service with its real database and Valkey."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from services.kit.database import Database
from services.kit.redis_client import ValkeyClient, connect
from services.points.settings import PointsSettings
from tests.points_game import Rows, running


@pytest.fixture
def settings(database_url: str, redis_url: str) -> PointsSettings:
    return PointsSettings(database_url=database_url, redis_url=redis_url)


@pytest.fixture
def app(clean: None, points_app: FastAPI) -> FastAPI:
    return points_app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with running(app) as client:
        yield client


@pytest.fixture
async def database(clean: None, database_url: str) -> AsyncIterator[Database]:
    """The service's database, as the worker holds it."""
    database = Database(database_url, "baton_points", pool_size=4)
    yield database
    await database.close()


@pytest.fixture
async def redis(clean: None, redis_url: str) -> AsyncIterator[ValkeyClient]:
    client = connect(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def rows(database_url: str) -> Rows:
    return Rows(database_url)
