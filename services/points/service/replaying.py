"""Replay: finished games are re-created from their logs, each once, and compared with what is stored of them."""

from dataclasses import dataclass, field

import structlog
from msgspec import MsgspecError

from contracts.frames import decode_event
from contracts.ids import SessionId
from contracts.rooms import Status
from services.kit import metrics
from services.kit.database import Database, Transaction
from services.kit.problem import Problem
from services.points import errors
from services.points.domain.comparing import differences
from services.points.repository import finished as repository
from services.points.repository import ledger, rooms
from services.points.service import games

log = structlog.get_logger()

REPLAYED_AT_ONCE = 20
REPLAYED_A_RUN = 200


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay has looked at, and what differed."""

    session_id: SessionId
    events: int = 0
    entries: int = 0
    survival_ms: int | None = None
    differences: list[str] = field(default_factory=list)


async def replay(transaction: Transaction, session_id: SessionId) -> Replay:
    """Replay a finished game. Changes nothing. Raises Problem 404, or 409 before the end."""
    game = await games.get(transaction, session_id)
    if game.status is not Status.FINISHED:
        raise errors.session_not_finished()
    frames = await rooms.read_frames(transaction, session_id)
    entries = await ledger.read_all(transaction, session_id)
    try:
        found = differences(game, [decode_event(frame) for frame in frames], entries)
    except MsgspecError as error:
        found = [f"the log cannot be read: {error!r}"]
    return Replay(session_id, len(frames), len(entries), game.survival_ms, found)


async def replay_finished(database: Database, limit: int = REPLAYED_A_RUN) -> int:
    """Replay finished games that were not replayed yet, at most so many. Returns how many were.

    Any number of workers may do so at once. What differs is kept with the game, logged as an error and counted.
    """
    replayed = 0
    while replayed < limit:
        async with database.transaction() as transaction:
            claimed = await repository.claim_to_replay(transaction, min(REPLAYED_AT_ONCE, limit - replayed))
            found = {session_id: await _differences(transaction, session_id) for session_id in claimed}
            if found:
                await repository.note_replays(transaction, found)
        for session_id, differing in found.items():
            metrics.replays.labels("differed" if differing else "agreed").inc()
            if differing:
                log.error("replay_differs", session_id=str(session_id), differences=differing)
        replayed += len(found)
        if len(found) < REPLAYED_AT_ONCE:
            break
    return replayed


async def _differences(transaction: Transaction, session_id: SessionId) -> list[str]:
    """What differs. A game that is not there any more, or cannot be read, differs and holds up no other."""
    try:
        return (await replay(transaction, session_id)).differences
    except Problem as error:
        return [error.detail]
    except (MsgspecError, ValueError) as error:
        return [f"what is stored cannot be read: {error!r}"]
