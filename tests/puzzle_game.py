"""A game as the puzzle service sees it: fed with points' events, played over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import httpx
from fastapi import FastAPI

from contracts.events import (
    PlayerEliminated,
    PointsEvent,
    PuzzleEvent,
    SessionCountdown,
    SessionFinished,
    SessionStarted,
    decode_puzzle_event,
)
from contracts.ids import EventId, PlayerId, SessionId, TeamId
from services.kit.clock import local_ms
from services.kit.database import Database
from services.kit.streams import Outcome
from services.kit.tokens import DEVELOPMENT_PRIVATE_KEY, Role, Signer
from services.puzzle.service.roster import apply_points_event
from services.puzzle.types.registry import installed
from tests import direct

TYPES = installed()
UNTIMED_TYPES = ["concentration", "memory", "multitasking"]
"""Types whose answers may come at once; a trace takes the time that it says it took."""
ALL_TYPES = [*UNTIMED_TYPES, "spatial"]
signer = Signer(DEVELOPMENT_PRIVATE_KEY, 3600)


class Game:
    """A session with its players. Its events are numbered as points would number them."""

    def __init__(self, players: int = 3, types: list[str] | None = None) -> None:
        self.session_id = SessionId(uuid4())
        self.team_id = TeamId(uuid4())
        self.players = [PlayerId(uuid4()) for _ in range(players)]
        self.types = types or UNTIMED_TYPES
        self.version = 0

    def _head(self) -> dict[str, Any]:
        self.version += 1
        return {
            "event_id": EventId(uuid4()),
            "session_id": self.session_id,
            "version": self.version,
            "at": local_ms(),
        }

    def countdown(self) -> SessionCountdown:
        return SessionCountdown(
            **self._head(),
            team_id=self.team_id,
            players=self.players,
            puzzle_types=self.types,
            difficulty=2,
            seed=uuid4().int >> 65,
            starts_at=local_ms(),
        )

    def started(self) -> SessionStarted:
        return SessionStarted(**self._head())

    def eliminated(self, player_id: PlayerId) -> PlayerEliminated:
        return PlayerEliminated(**self._head(), player_id=player_id, eliminated_at=local_ms())

    def finished(self) -> SessionFinished:
        return SessionFinished(**self._head(), finished_at=local_ms())

    def token(self, player_id: PlayerId) -> str:
        return signer.sign(player_id, self.team_id, Role.PLAYER)

    def other_token(self, role: Role) -> str:
        return signer.sign(PlayerId(uuid4()), self.team_id, role)


async def apply(database: Database, *events: PointsEvent) -> list[Outcome]:
    """Give events their effect, each in a transaction of its own."""
    outcomes = []
    for event in events:
        async with database.transaction() as transaction:
            outcomes.append(await apply_points_event(transaction, TYPES, event))
    return outcomes


async def begin(database: Database, game: Game) -> Game:
    """Bring a game to where its players have their first puzzles."""
    assert await apply(database, game.countdown(), game.started()) == [Outcome.DONE, Outcome.DONE]
    return game


class Rows:
    """The service's tables, as nobody sees them over HTTP."""

    def __init__(self, url: str) -> None:
        self._url = url

    def all(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        return direct.query(self._url, query, parameters)

    def one(self, query: str, *parameters: object) -> dict[str, Any]:
        [row] = self.all(query, *parameters)
        return row

    def change(self, query: str, *parameters: object) -> None:
        direct.query(self._url, query, parameters)

    def puzzle(self, puzzle_id: UUID | str) -> dict[str, Any]:
        return self.one("SELECT * FROM puzzle.puzzles WHERE puzzle_id = %s", puzzle_id)

    def open_puzzle(self, player_id: UUID) -> dict[str, Any]:
        return self.one("SELECT * FROM puzzle.puzzles WHERE player_id = %s AND status = 'open'", player_id)

    def events(self, session_id: UUID) -> list[PuzzleEvent]:
        """What the outbox holds of a session, in order."""
        rows = self.all("SELECT payload FROM puzzle.outbox WHERE session_id = %s ORDER BY version", session_id)
        return [decode_puzzle_event(row["payload"]) for row in rows]

    def let_time_pass(self, puzzle_id: UUID | str, ms: int = 20_000) -> None:
        """Let the puzzle have been open for so long already."""
        self.change("UPDATE puzzle.puzzles SET opened_at = opened_at - %s WHERE puzzle_id = %s", ms, puzzle_id)

    def let_time_run_out(self, puzzle_id: UUID | str) -> None:
        """Move the puzzle back in time, so that its deadline has just passed."""
        self.change(
            "UPDATE puzzle.puzzles SET opened_at = opened_at - (deadline - %s), deadline = %s WHERE puzzle_id = %s",
            local_ms() - 1,
            local_ms() - 1,
            puzzle_id,
        )


def right_answer(puzzle: dict[str, Any]) -> dict[str, Any]:
    return TYPES.get(puzzle["type"]).reveal(puzzle["view"], puzzle["hidden"])


def wrong_answer(puzzle: dict[str, Any]) -> dict[str, Any]:
    """An answer of the right shape that is not right."""
    hidden = puzzle["hidden"]
    match puzzle["type"]:
        case "memory":
            return {"colour": next(c for c in puzzle["view"]["choices"] if c != hidden["colour"])}
        case "concentration":
            return {"index": (hidden["index"] + 1) % 10}
        case "multitasking":
            return {"columns": [(hidden["columns"][0] + 1) % 9, *hidden["columns"][1:]]}
        case _:
            return {"trace": hidden["trace"][:-1]}


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """The application with its background tasks, and a client."""
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://puzzle") as client,
    ):
        yield client


def bearer(token: str, **headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", **{name.replace("_", "-"): value for name, value in headers.items()}}


async def current(client: httpx.AsyncClient, game: Game, player_id: PlayerId) -> dict[str, Any]:
    response = await client.get(f"/players/{player_id}/puzzle", headers=bearer(game.token(player_id)))
    assert response.status_code == 200, response.text
    puzzle: dict[str, Any] = response.json()["puzzle"]
    return puzzle


async def answer(
    client: httpx.AsyncClient, game: Game, player_id: PlayerId, puzzle_id: Any, given: Any, **headers: str
) -> httpx.Response:
    headers = bearer(game.token(player_id), **headers)
    return await client.post(f"/puzzles/{puzzle_id}/answer", json={"answer": given}, headers=headers)


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == response.status_code
    return response.status_code, body["code"]
