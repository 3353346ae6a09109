"""Reading, changing and keeping a game: what all use cases share."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from contracts.ids import SessionId
from contracts.rooms import PlayerEliminated, SessionFinished
from services.kit import metrics
from services.kit.database import Transaction
from services.points import errors
from services.points.domain.game import Game
from services.points.domain.seats import ForbiddenMoveError
from services.points.domain.views import outbound
from services.points.repository import games, saving, standings
from services.points.repository.outbox import outbox


async def get(transaction: Transaction, session_id: SessionId) -> Game:
    """The game as it is. Raises Problem 404."""
    if (game := await games.read_game(transaction, session_id)) is None:
        raise errors.session_not_found()
    return game


async def lock(transaction: Transaction, session_id: SessionId) -> Game:
    """The game, locked. Raises Problem 404."""
    if (game := await games.lock_game(transaction, session_id)) is None:
        raise errors.session_not_found()
    return game


async def keep(transaction: Transaction, game: Game) -> None:
    """Write the game back, with its events for clients and for the puzzle service; if it ended, with its standings."""
    await keep_all(transaction, [game])


async def keep_all(transaction: Transaction, changed: Collection[Game]) -> None:
    """Write locked games back, in two or three statements however many they are."""
    if not changed:
        return
    events = []
    for game in changed:
        sent = outbound(game)
        game.sent_version += len(sent)
        events += sent
    await outbox.add(transaction, *events)
    await saving.save_games(transaction, changed)
    facts = [(game, type(fact)) for game in changed for _, fact in game.facts]
    if ended := [game for game, kind in facts if kind is SessionFinished]:
        await standings.record_finished(transaction, ended)
    for game in changed:
        for entry in game.entries:
            if entry.kind in {"award", "void"}:
                metrics.awards.labels(entry.reason or "paid").inc()
    metrics.eliminations.inc(sum(kind is PlayerEliminated for _, kind in facts))


@contextmanager
def moves() -> Iterator[None]:
    """Turn what the rules forbid into a Problem."""
    try:
        yield
    except ForbiddenMoveError as error:
        raise errors.forbidden_move(error.code, str(error)) from error
