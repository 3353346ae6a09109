"""⑥ What the puzzle service tells: each event takes effect once, in its order, at its own instant.

The order is also the inbox: a session remembers the last version it applied, in the transaction of the effect. The
ledger's unique keys stand behind it as a second guard.
"""

from contracts.events import PuzzleEvent
from services.kit.database import Transaction
from services.kit.streams import Outcome
from services.points.repository import games as repository
from services.points.service import games


class UnknownSessionError(Exception):
    """The event is for a session that is not here."""


async def apply(transaction: Transaction, event: PuzzleEvent, *, retried: bool = False) -> Outcome:
    """Let an event take effect. EARLY: an earlier one is missing, and nothing has happened.

    `retried` is for a dead letter, whose place in the order has been given up: it takes effect now.
    """
    game = await repository.lock_game(transaction, event.session_id)
    if game is None:
        raise UnknownSessionError(f"no session {event.session_id}")
    if not retried:
        if event.version <= game.puzzle_version:
            return Outcome.DUPLICATE
        if event.version > game.puzzle_version + 1:
            return Outcome.EARLY
        game.puzzle_version = event.version
    game.apply(event)
    await games.keep(transaction, game)
    return Outcome.DONE


async def skip(transaction: Transaction, event: PuzzleEvent) -> None:
    """Give an event up, so that those after it can take effect."""
    game = await repository.lock_game(transaction, event.session_id)
    if game is not None and event.version == game.puzzle_version + 1:
        game.puzzle_version = event.version
        await games.keep(transaction, game)
