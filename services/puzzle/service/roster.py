"""⑤ What points tells of sessions takes effect here: each event once, in the order of its session.

The order is also the inbox: a session remembers the last version it applied, in the transaction of the effect.
"""

from contracts.events import PlayerEliminated, PointsEvent, SessionCountdown, SessionFinished, SessionStarted
from services.kit.clock import now_ms
from services.kit.database import Transaction
from services.kit.streams import Outcome
from services.puzzle import domain
from services.puzzle.domain import Session, Status
from services.puzzle.repository import puzzles, sessions
from services.puzzle.service.dealing import keep, next_turn
from services.puzzle.types.registry import Registry


class UnexpectedEventError(Exception):
    """An event that cannot follow what came before it."""


async def apply_points_event(
    transaction: Transaction, types: Registry, event: PointsEvent, *, retried: bool = False
) -> Outcome:
    """Give an event its effect, unless it had it before or its predecessor is still missing.

    `retried` is for a dead letter, whose place in the order has been given up: it takes effect now. Raises
    UnexpectedEventError, or UnknownPuzzleTypeError where a session's type is not installed; then nothing has changed.
    """
    session = await sessions.lock(transaction, event.session_id)
    if not retried and (outcome := _out_of_place(session, event)):
        return outcome
    if session is None:
        return await _begin(transaction, event)
    await _follow(transaction, types, session, event)
    await _go_on(transaction, session, event)
    return Outcome.DONE


async def skip(transaction: Transaction, event: PointsEvent) -> None:
    """Give an event up, so that those after it can take effect."""
    session = await sessions.lock(transaction, event.session_id)
    if session is not None and event.version == session.points_version + 1:
        await _go_on(transaction, session, event)


async def _go_on(transaction: Transaction, session: Session, event: PointsEvent) -> None:
    version = max(session.points_version, event.version)
    await sessions.set_points_version(transaction, session.session_id, version)


def _out_of_place(session: Session | None, event: PointsEvent) -> Outcome | None:
    known = 0 if session is None else session.points_version
    if event.version <= known:
        return Outcome.DUPLICATE
    return Outcome.EARLY if event.version > known + 1 else None


async def _begin(transaction: Transaction, event: PointsEvent) -> Outcome:
    """The first event of a session. One that ends in the lobby has no roster, and needs none."""
    match event:
        case SessionCountdown():
            return Outcome.DONE if await sessions.add_session(transaction, event) else Outcome.DUPLICATE
        case SessionFinished():
            return Outcome.DONE
        case _:
            raise UnexpectedEventError(f"{type(event).__name__} of a session without a roster")


async def _follow(transaction: Transaction, types: Registry, session: Session, event: PointsEvent) -> None:
    match event:
        case SessionStarted():
            await _start(transaction, types, session)
        case PlayerEliminated():
            await sessions.eliminate(transaction, session.session_id, event.player_id, event.eliminated_at)
            await puzzles.withdraw(transaction, session.session_id, event.player_id)
        case SessionFinished():
            await sessions.set_status(transaction, session.session_id, Status.FINISHED)
            await puzzles.withdraw(transaction, session.session_id)
        case SessionCountdown():
            raise UnexpectedEventError(f"{type(event).__name__} as version {event.version}")


async def _start(transaction: Transaction, types: Registry, session: Session) -> None:
    """Play begins: everybody is dealt a first puzzle. Nothing happens where a late retry finds the game over."""
    if session.status is not Status.COUNTDOWN:
        return
    await sessions.set_status(transaction, session.session_id, Status.ACTIVE)
    at = domain.instant(session, await now_ms(transaction.connection))
    turns = []
    for player_id in await sessions.without_puzzle(transaction, session.session_id):
        turns.append(turn := next_turn(types, session, player_id, at))
        session = turn.session
    await keep(transaction, turns)
