"""A game as the points service sees it: made over HTTP, fed with the puzzle service's events."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
import msgspec
from fastapi import FastAPI

from contracts import replay
from contracts.frames import decode_event
from contracts.ids import PlayerId, SessionId, TeamId
from contracts.rooms import State
from services.kit.clock import now_ms
from services.kit.database import Database
from services.points.service import settling
from services.puzzle.service.upkeep import Position
from tests import direct
from tests.factories import Puzzles

OPERATOR = {"X-Operator-Key": "development-operator-key"}


def bearer(token: str, **headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", **{name.replace("_", "-"): value for name, value in headers.items()}}


def problem(response: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal, which is a problem document."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    body = response.json()
    assert body["status"] == response.status_code
    assert {"type", "title", "detail"} <= body.keys()
    return response.status_code, body["code"]


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """The application with its background tasks, and a client."""
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://points"
        ) as client,
    ):
        yield client


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 30.0) -> Any:
    """What the condition returns as soon as that is true."""
    async with asyncio.timeout(seconds):
        while not (result := await condition()):  # noqa: ASYNC110 (what it waits for is in other processes)
            await asyncio.sleep(0.01)
        return result


class Team:
    """A team with its players' tokens, over HTTP."""

    def __init__(self, client: httpx.AsyncClient, created: dict[str, Any]) -> None:
        self._client = client
        self.team_id = TeamId(UUID(created["team_id"]))
        self.code: str = created["code"]
        self.host: str = created["host_token"]
        self.players: list[PlayerId] = []
        self.tokens: list[str] = []

    @classmethod
    async def make(cls, client: httpx.AsyncClient, players: int = 0) -> "Team":
        """A new team with so many players, called Player 0, Player 1 …"""
        response = await client.post("/teams", json={"name": "Otters"})
        assert response.status_code == 201, response.text
        team = cls(client, response.json())
        for number in range(players):
            await team.join(f"Player {number}")
        return team

    async def join(self, name: str, **body: Any) -> dict[str, Any]:
        response = await self.try_join(name, **body)
        assert response.status_code == 201, response.text
        joined: dict[str, Any] = response.json()
        self.players.append(PlayerId(UUID(joined["player_id"])))
        self.tokens.append(joined["token"])
        return joined

    async def try_join(self, name: str, **body: Any) -> httpx.Response:
        return await self._client.post(f"/teams/{self.code}/players", json={"name": name, **body})

    async def try_open(self, **rules: Any) -> httpx.Response:
        return await self._client.post("/sessions", json={"rules": rules}, headers=bearer(self.host))

    async def open(self, **rules: Any) -> SessionId:
        response = await self.try_open(**rules)
        assert response.status_code == 201, response.text
        return SessionId(UUID(response.json()["session_id"]))

    async def as_host(self, session_id: SessionId, verb: str, **headers: str) -> httpx.Response:
        return await self._client.post(f"/sessions/{session_id}/{verb}", headers=bearer(self.host, **headers))

    async def start(self, session_id: SessionId) -> None:
        response = await self.as_host(session_id, "start")
        assert response.status_code == 200, response.text

    async def get(self, path: str) -> Any:
        response = await self._client.get(path, headers=bearer(self.host))
        assert response.status_code == 200, response.text
        return response.json()

    async def state(self, session_id: SessionId) -> State:
        return msgspec.convert((await self.get(f"/sessions/{session_id}"))["state"], State)


class Game:
    """An active session of one team: with its instants, and the puzzle service's events for it."""

    def __init__(self, team: Team, session_id: SessionId, started_at: int) -> None:
        self.team = team
        self.session_id = session_id
        self.started_at = started_at
        self.puzzles = Puzzles(session_id)

    @property
    def players(self) -> list[PlayerId]:
        return self.team.players

    async def state(self) -> State:
        return await self.team.state(self.session_id)


async def begin(client: httpx.AsyncClient, database: Database, players: int = 3, **rules: Any) -> Game:
    """A game that has just begun. By default nobody loses a point while a test runs."""
    team = await Team.make(client, players)
    session_id = await team.open(**{"countdown_ms": 0, "interval_ms": 3_600_000, **rules})
    await team.start(session_id)
    await until(lambda: settling.begin_due(database))
    state = await team.state(session_id)
    assert state.started_at is not None
    return Game(team, session_id, state.started_at)


def vouching(database: Database, version: int) -> settling.AskPositions:
    """The puzzle service's word, whichever session it is asked about: nothing beyond `version` happened until now."""

    async def ask(session_ids: Collection[SessionId]) -> Mapping[SessionId, Position]:
        async with database.transaction() as transaction:
            now = await now_ms(transaction.connection)
        return {session_id: Position(now, version) for session_id in session_ids}

    return ask


class Rows:
    """The service's tables, as nobody sees them over HTTP."""

    def __init__(self, url: str) -> None:
        self.url = url

    def all(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        return direct.query(self.url, query, parameters)

    def one(self, query: str, *parameters: object) -> dict[str, Any]:
        [row] = self.all(query, *parameters)
        return row

    def value(self, query: str, *parameters: object) -> Any:
        [value] = self.one(query, *parameters).values()
        return value

    def change(self, query: str, *parameters: object) -> None:
        direct.query(self.url, query, parameters)

    def ledger(self, session_id: UUID) -> list[dict[str, Any]]:
        return self.all("SELECT * FROM points.ledger WHERE session_id = %s ORDER BY entry_id", session_id)

    def frames(self, session_id: UUID) -> list[bytes]:
        """The session's log; it has no gap."""
        rows = self.all("SELECT seq, frame FROM points.session_events WHERE session_id = %s ORDER BY seq", session_id)
        assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
        return [bytes(row["frame"]) for row in rows]

    def replayed(self, session_id: UUID) -> State | None:
        """The state that a client has who was there from the beginning."""
        state = None
        for frame in self.frames(session_id):
            state = replay.apply(state, decode_event(frame).data)
        return state
