"""The puzzle service with its real database and Valkey."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from services.kit.database import Database
from tests.puzzle_game import Game, Rows, begin, running


@pytest.fixture
def app(clean: None, puzzle_app: FastAPI) -> FastAPI:
    return puzzle_app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with running(app) as client:
        yield client


@pytest.fixture
async def database(clean: None, database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, "baton_puzzle")
    yield database
    await database.close()


@pytest.fixture
def rows(database_url: str) -> Rows:
    return Rows(database_url)


@pytest.fixture
async def game(database: Database) -> Game:
    return await begin(database, Game())
