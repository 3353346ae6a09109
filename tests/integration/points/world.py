"""The points service on its database, as its worker and consumers enter it, for games on clocks of their own.

It can be made to die: at a statement of one's choice, whereupon all that its process held is gone.
"""

import asyncio
from collections.abc import Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import event

from contracts.events import PuzzleEvent
from contracts.ids import SessionId
from services.kit.database import Database
from services.kit.streams import Outcome
from services.points.domain.game import Game
from services.points.domain.seats import LedgerEntry
from services.points.repository import games as repository
from services.points.repository import ledger, saving, teams
from services.points.service import answers, games, replaying, settling
from services.puzzle.service.upkeep import Position
from tests import direct
from tests.integration.points.played import BEGINNING

T = TypeVar("T")


class AskedEnoughError(Exception):
    """On games' own clocks there is always more that the database's finds to be due."""


class DiedError(BaseException):
    """The process is dead."""


@dataclass(frozen=True)
class Stored:
    """How far a session has come, as its row says, and how many requests of ticks wait for it."""

    puzzle_version: int
    awaited_version: int
    settled_at: int
    due_at: int | None
    requests: int


class World:
    """One process of the service after another, and the loop that they share."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._runner = asyncio.Runner()
        self._statements_left: int | None = None
        self._database = self._start()

    def _start(self) -> Database:
        database = Database(self._url, "baton_points", pool_size=4)
        event.listen(database.engine.sync_engine, "before_cursor_execute", self._before_statement)
        return database

    def _before_statement(self, *_: Any) -> None:
        if self._statements_left is not None:
            self._statements_left -= 1
            if self._statements_left < 0:
                raise DiedError

    def restart(self) -> None:
        """Another process in the place of this one."""
        self.run(self._database.close())
        self._database = self._start()

    def close(self) -> None:
        self.run(self._database.close())
        self._runner.close()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(coroutine)

    def dying(self, coroutine: Coroutine[Any, Any, Any], statements: int) -> bool:
        """Do it in a process that dies at its first statement after so many. False if it ends before."""
        self._statements_left = statements
        try:
            self.run(coroutine)
        except DiedError:
            self._statements_left = None
            self.restart()
            return True
        finally:
            self._statements_left = None
        return False

    async def create(self, created: Sequence[Game]) -> None:
        """Teams, their sessions, and the host's start at the beginning of their clocks."""
        async with self._database.transaction() as transaction:
            for game in created:
                await teams.insert_team(transaction, game.team_id, game.team_id.hex, game.team_name, 0)
                await saving.create_game(transaction, game)
            locked = await repository.lock_games(transaction, [game.session_id for game in created])
            for game in locked.values():
                game.start(BEGINNING)
            await games.keep_all(transaction, locked.values())

    async def end(self, session_id: SessionId, at: int) -> None:
        """The host ends a session."""
        async with self._database.transaction() as transaction:
            game = await games.lock(transaction, session_id)
            game.end(at)
            await games.keep(transaction, game)

    async def apply(self, events: Sequence[PuzzleEvent]) -> list[Outcome]:
        """The consumer is given these, in this order: all in one transaction, by itself what cannot be."""
        async with self._database.transaction() as transaction:
            outcomes = await answers.apply_all(transaction, events)
        for place, arriving in enumerate(events):
            if outcomes[place] is Outcome.ALONE:
                async with self._database.transaction() as transaction:
                    outcomes[place] = await answers.apply(transaction, arriving)
        return outcomes

    async def begin(self) -> int:
        """The worker begins all games whose countdown is over: all are, their clocks being far in the past."""
        return await settling.begin_due(self._database)

    async def settle(self, positions: Mapping[SessionId, Position]) -> None:
        """The worker settles once what is due (by the database's clock, all), by these words of the puzzle service."""
        asked = 0

        async def ask(session_ids: Collection[SessionId]) -> Mapping[SessionId, Position]:
            nonlocal asked
            asked += 1
            if asked > 1:
                raise AskedEnoughError
            return {session_id: positions[session_id] for session_id in session_ids if session_id in positions}

        with suppress(AskedEnoughError):
            await settling.settle_due(self._database, ask)

    async def request_ticks(self, session_id: SessionId | None, ticks: int) -> int:
        """An operator asks for ticks. Returns for how many sessions."""
        async with self._database.transaction() as transaction:
            _, sessions = await settling.request_ticks(transaction, session_id, ticks)
            return sessions

    async def read(self, session_ids: Sequence[SessionId]) -> list[Game]:
        async with self._database.transaction() as transaction:
            found = await repository.lock_games(transaction, session_ids)
            return [found[session_id] for session_id in session_ids]

    async def read_entries(self, session_id: SessionId) -> list[LedgerEntry]:
        async with self._database.transaction() as transaction:
            return await ledger.read_all(transaction, session_id)

    async def replay_finished(self) -> None:
        await replaying.replay_finished(self._database)

    def stored(self, session_ids: Sequence[SessionId]) -> dict[SessionId, Stored]:
        """The sessions' rows, past the service."""
        rows = direct.query(
            self._url,
            """
            SELECT session_id, puzzle_version, awaited_version, settled_at, due_at,
                (SELECT count(*) FROM points.tick_requests AS r WHERE r.session_id = s.session_id) AS requests
            FROM points.sessions AS s WHERE session_id = ANY(%s)
            """,
            [session_ids],
        )
        return {SessionId(row.pop("session_id")): Stored(**row) for row in rows}

    def differing(self, session_ids: Sequence[SessionId]) -> dict[SessionId, Any]:
        """What the replays found of each of the sessions."""
        rows = direct.query(
            self._url,
            "SELECT session_id, differences FROM points.finished_games WHERE session_id = ANY(%s)"
            " AND replayed_at IS NOT NULL",
            [session_ids],
        )
        return {SessionId(row["session_id"]): row["differences"] for row in rows}

    def sent_versions(self, session_ids: Sequence[SessionId]) -> dict[SessionId, list[int]]:
        """The versions of the events for the puzzle service, in order."""
        rows = direct.query(
            self._url,
            "SELECT session_id, array_agg(version ORDER BY version) AS versions FROM points.outbox"
            " WHERE session_id = ANY(%s) GROUP BY session_id",
            [session_ids],
        )
        return {SessionId(row["session_id"]): row["versions"] for row in rows}


@contextmanager
def world(url: str) -> Iterator[World]:
    made = World(url)
    try:
        yield made
    finally:
        made.close()
