"""Time: starts, eliminations and ends that are due, and operators' ticks. Work grows with what is due."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import NamedTuple, Protocol
from uuid import UUID, uuid4

import structlog

from contracts.ids import SessionId
from services.kit import metrics
from services.kit.clock import now_ms
from services.kit.database import Database, Transaction, is_away
from services.points.domain.game import Game
from services.points.repository import due, ledger
from services.points.repository import games as repository
from services.points.service import games

log = structlog.get_logger()


BATCH = 400
"""Games settled in one transaction: an award in one of them waits for it, some 0.15 s where everything is busy."""
LANES = 2
"""Batches under way at once."""
LONGEST_RUN_S = 2.0
"""After so long others have their turn, and what is left is done in the next run."""


class Position(Protocol):
    """The puzzle service's word: its events with an instant up to `now` have at most this version."""

    @property
    def now(self) -> int: ...

    @property
    def version(self) -> int: ...


class _Reached(NamedTuple):
    now: int
    version: int = 0


Claim = Callable[[Transaction, int, int, Collection[SessionId]], Awaitable[dict[SessionId, Game]]]
PositionsOf = Callable[[Mapping[SessionId, Game], int], Awaitable[Mapping[SessionId, Position]]]
AskPositions = Callable[[Collection[SessionId]], Awaitable[Mapping[SessionId, Position]]]
"""Asks the puzzle service for positions; those of sessions it has not heard of are left out."""


async def begin_due(database: Database) -> int:
    """Begin the sessions whose countdown is over. Nothing was answered before, so nobody need be asked."""

    async def positions(games: Mapping[SessionId, Game], now: int) -> Mapping[SessionId, Position]:
        return {session_id: _Reached(game.starts_at or now) for session_id, game in games.items()}

    return await _in_batches(database, due.claim_countdowns, positions)


async def settle_due(database: Database, ask: AskPositions) -> int:
    """Settle everything that is due, as far as all answers have been applied. Returns how many sessions were.

    Any number may do so at once: each takes other sessions. One that waits for an answer is left alone until that was
    applied. One that cannot be settled stops no other: failures are counted, logged, and raised together at the end.
    """

    async def positions(games: Mapping[SessionId, Game], now: int) -> Mapping[SessionId, Position]:
        known = await ask(games)
        # Of what it has not heard of yet, there are no answers.
        return {session_id: known.get(session_id, _Reached(now)) for session_id in games}

    return await _in_batches(database, due.claim_due, positions)


async def _in_batches(database: Database, claim: Claim, positions_of: PositionsOf) -> int:
    """Settle batches until nothing is due: while one waits for the database, another is worked out."""
    failures: dict[SessionId, Exception] = {}
    ends_at = time.monotonic() + LONGEST_RUN_S
    lanes: list[asyncio.Task[int]] = []

    async def lane(group: asyncio.TaskGroup) -> int:
        settled = 0
        while time.monotonic() < ends_at:
            positions: Mapping[SessionId, Position] = {}
            try:
                async with database.transaction() as transaction:
                    now = await now_ms(transaction.connection)
                    claimed = await claim(transaction, now, BATCH, failures)
                    if not claimed:
                        break
                    if len(claimed) == BATCH and len(lanes) < LANES:  # there is more
                        lanes.append(group.create_task(lane(group)))
                    positions = await positions_of(claimed, now)
                    done = await _settle(transaction, claimed, positions)
                settled += done
            except Exception as error:
                if not positions or is_away(error):
                    raise
                settled += await _one_by_one(database, positions, failures)
        return settled

    try:
        async with asyncio.TaskGroup() as group:
            lanes.append(group.create_task(lane(group)))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors  # as if there were one batch at a time
    if failures:
        raise ExceptionGroup(f"{len(failures)} sessions could not be settled", list(failures.values()))
    return sum(task.result() for task in lanes)


async def _one_by_one(
    database: Database, positions: Mapping[SessionId, Position], failures: dict[SessionId, Exception]
) -> int:
    """Each in a transaction of its own, so that the one that fails spoils no other."""
    settled = 0
    for session_id, position in positions.items():
        try:
            async with database.transaction() as transaction:
                settled += await settle(transaction, session_id, position.now, position.version)
        except Exception as error:
            if is_away(error):
                raise
            metrics.settle_failures.inc()
            log.error("settle_failed", session_id=str(session_id), error=repr(error))
            failures[session_id] = error
    return settled


async def settle(transaction: Transaction, session_id: SessionId, until: int, puzzle_version: int) -> bool:
    """Let what is due until `until` take effect, if all answers up to then have been applied.

    The puzzle service vouches that all its events with an instant up to `until` have at most `puzzle_version`. Where
    points has not applied that one yet, nothing is settled and False is returned: it is due again afterwards. A
    session that somebody holds at the moment is left alone too.
    """
    games = await repository.lock_games(transaction, [session_id], skip_held=True)
    return bool(await _settle(transaction, games, {session_id: _Reached(until, puzzle_version)}))


async def _settle(
    transaction: Transaction, locked: Mapping[SessionId, Game], positions: Mapping[SessionId, Position]
) -> int:
    ready = [game for game in locked.values() if positions[game.session_id].version <= game.puzzle_version]
    requests = await ledger.take_requests(transaction, [game.session_id for game in ready])
    for game in locked.values():
        until, version = positions[game.session_id].now, positions[game.session_id].version
        if version > game.puzzle_version:
            game.awaited_version = version
            continue
        game.advance(until)
        for run_id, ticks in requests.get(game.session_id, ()):
            game.tick(until, ticks, run_id)
    await games.keep_all(transaction, locked.values())
    metrics.sessions_settled.inc(len(ready))
    return len(ready)


async def request_ticks(transaction: Transaction, session_id: SessionId | None, ticks: int) -> tuple[UUID, int]:
    """Note extra ticks for the next settling; durable, so that they are taken once whatever crashes.

    Returns the run's id and the number of active sessions it is for. Raises Problem 404 for an unknown session.
    """
    if session_id is not None:
        await games.get(transaction, session_id)
    run_id = uuid4()
    if ticks == 0:
        return run_id, await ledger.count_active(transaction, session_id)
    return run_id, await ledger.request_ticks(transaction, run_id, session_id, ticks)
