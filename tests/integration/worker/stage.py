"""Both services' use cases, with the events between them carried by hand: a test says what has arrived."""

import time
from typing import Any

from contracts.events import decode_points_event, decode_puzzle_event
from contracts.ids import PlayerId, PuzzleId, SessionId
from services.kit.database import Transaction
from services.points.domain.rules import KNOWN_PUZZLE_TYPES
from services.points.repository.outbox import outbox as points_outbox
from services.points.service import answers, sessions, settling, teams
from services.puzzle.service import roster
from services.puzzle.service.answering import Given, answer_all
from services.puzzle.service.dealing import outbox as puzzle_outbox
from tests import direct
from tests.points_game import Rows
from tests.puzzle_game import right_answer
from worker import tasks
from worker.runtime import Resources, Runtime

HOUR = 3_600_000
SLOW = {"interval_ms": HOUR}
QUICK = ["concentration", "memory", "multitasking"]
"""Types that may be answered at once; the fourth takes its time."""


class Stage:
    """Games of both services, in the database that the worker works on."""

    def __init__(self, runtime: Runtime, rows: Rows) -> None:
        self.runtime = runtime
        self.rows = rows

    def started(self, players: int = 2, **rules: Any) -> SessionId:
        """A session whose countdown runs."""

        async def use(held: Resources) -> SessionId:
            async with held.points.transaction() as transaction:
                team = await teams.create(transaction, "Otters")
                for number in range(players):
                    await teams.join(transaction, team.code, f"Player {number}", None)
                game = await sessions.open_lobby(
                    transaction, team.team_id, {"countdown_ms": 0, "puzzle_types": QUICK, **rules}, KNOWN_PUZZLE_TYPES
                )
                session_id = game.session_id
            async with held.points.transaction() as transaction:
                await sessions.start(transaction, session_id)
            return session_id

        return self.runtime.run(use)

    def carry(self) -> int:
        """Deliver and confirm everything that either service has to tell. Returns how many events that were."""
        carried = 0
        while rows := self.rows.all("SELECT payload FROM points.outbox ORDER BY session_id, version"):
            carried += len(rows)
            self.runtime.run(lambda held, rows=rows: self._to_puzzle(held, [r["payload"] for r in rows]))  # type: ignore[misc]  # mypy infers no lambda defaults
        while rows := self.rows.all("SELECT payload FROM puzzle.outbox ORDER BY session_id, version"):
            carried += len(rows)
            self.runtime.run(lambda held, rows=rows: self._to_points(held, [r["payload"] for r in rows]))  # type: ignore[misc]  # as above
        return carried

    async def _to_puzzle(self, held: Resources, payloads: list[bytes]) -> None:
        for event in map(decode_points_event, payloads):
            async with held.puzzle.transaction() as transaction:
                await roster.apply_points_event(transaction, held.types, event)
            async with held.points.transaction() as transaction:
                await points_outbox.confirm(transaction, [event.event_id])

    async def _to_points(self, held: Resources, payloads: list[bytes]) -> None:
        for event in map(decode_puzzle_event, payloads):
            async with held.points.transaction() as transaction:
                await answers.apply(transaction, event)
            async with held.puzzle.transaction() as transaction:
                await puzzle_outbox.confirm(transaction, [event.event_id])

    def solve(self, session_id: SessionId, seat: int) -> PuzzleId:
        """The right answer to a player's open puzzle. Points has not heard of it before `carry`."""
        puzzle = self.rows.one(
            "SELECT p.* FROM puzzle.puzzles p JOIN points.seats s USING (session_id, player_id)"
            " WHERE session_id = %s AND s.seat = %s AND p.status = 'open'",
            session_id,
            seat,
        )

        async def use(held: Resources) -> None:
            async with held.puzzle.transaction() as transaction:
                await self._answer(transaction, held, puzzle)

        self.runtime.run(use)
        return PuzzleId(puzzle["puzzle_id"])

    async def _answer(self, transaction: Transaction, held: Resources, puzzle: dict[str, Any]) -> None:
        given = Given(
            puzzle_id=PuzzleId(puzzle["puzzle_id"]),
            player_id=PlayerId(puzzle["player_id"]),
            answer=right_answer(puzzle),
        )
        [answered] = await answer_all(transaction, held.types, [given])
        assert isinstance(answered, bytes), answered

    def session(self, session_id: SessionId) -> dict[str, Any]:
        return self.rows.one("SELECT * FROM points.sessions WHERE session_id = %s", session_id)

    def seats(self, session_id: SessionId, column: str) -> list[Any]:
        """One column of all seats, in their order."""
        rows = self.rows.all("SELECT * FROM points.seats WHERE session_id = %s ORDER BY seat", session_id)
        return [row[column] for row in rows]

    def let_pass(self, session_id: SessionId, duration_ms: int) -> None:
        """Move everything of a session back in time. Nothing of it may be on its way."""
        for change in (
            "UPDATE points.sessions SET created_at = created_at - %(ms)s, starts_at = starts_at - %(ms)s,"
            " started_at = started_at - %(ms)s, due_at = due_at - %(ms)s, settled_at = settled_at - %(ms)s",
            "UPDATE points.seats SET zero_at = zero_at - %(ms)s, eliminated_at = eliminated_at - %(ms)s",
            "UPDATE points.ledger SET at = at - %(ms)s",
            "UPDATE puzzle.sessions SET last_at = last_at - %(ms)s",
        ):
            where = " WHERE session_id = %(session)s"
            direct.query(self.rows.url, change + where, {"ms": duration_ms, "session": session_id})

    def wait_until(self, instant: int) -> None:
        """Until the database's clock is past an instant."""
        while self.rows.value("SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)") <= instant:
            time.sleep(0.005)


def playing(stage: Stage, **rules: Any) -> SessionId:
    """A game of two that has begun, and of which both services know everything."""
    [session_id] = all_playing(stage, 1, **rules)
    return session_id


def all_playing(stage: Stage, number: int, **rules: Any) -> list[SessionId]:
    """So many games of that kind."""
    ids = [stage.started(**rules) for _ in range(number)]
    stage.wait_until(stage.session(ids[-1])["starts_at"])
    assert tasks.end_countdowns() == number
    stage.carry()
    return ids


async def settle(held: Resources) -> int:
    """The body of the task `settle`, for any runtime."""
    return await settling.settle_due(held.points, held.positions)
