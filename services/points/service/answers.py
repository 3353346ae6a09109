"""⑥ What the puzzle service tells: each event takes effect once, in its order, at its own instant.

The order is also the inbox: a session remembers the last version it applied, in the transaction of the effect. The
ledger's unique keys stand behind it as a second guard.
"""

from collections.abc import Iterator, Sequence

from contracts.events import PuzzleEvent
from contracts.ids import SessionId
from services.kit.database import Transaction
from services.kit.streams import Outcome
from services.points.domain.game import Game
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
    if retried:
        game.apply(event)
    elif (outcome := _take(game, event)) is not Outcome.DONE:
        return outcome
    await games.keep(transaction, game)
    return Outcome.DONE


async def apply_all(transaction: Transaction, events: Sequence[PuzzleEvent]) -> list[Outcome]:
    """Let events of any sessions take effect together, those of a session in the order in which they are given.

    ALONE is the outcome of all events of a session that somebody else holds now, that is not here, or in which
    one of them cannot be: nothing of it has changed, and the other sessions need not wait for it.
    """
    lanes: dict[SessionId, list[PuzzleEvent]] = {}
    for event in events:
        lanes.setdefault(event.session_id, []).append(event)
    found = await repository.lock_games(transaction, lanes, skip_held=True)
    outcomes: dict[SessionId, Iterator[Outcome]] = {}
    changed = set()
    for session_id, lane in lanes.items():
        game = found.get(session_id)
        try:
            taken = [Outcome.ALONE if game is None else _take(game, event) for event in lane]
        except Exception:  # noqa: BLE001 (it is raised again where the event is applied alone)
            taken = [Outcome.ALONE for _ in lane]
        if Outcome.DONE in taken:
            changed.add(session_id)
        outcomes[session_id] = iter(taken)
    await games.keep_all(transaction, [game for session_id, game in found.items() if session_id in changed])
    return [next(outcomes[event.session_id]) for event in events]


def _take(game: Game, event: PuzzleEvent) -> Outcome:
    if event.version <= game.puzzle_version:
        return Outcome.DUPLICATE
    if event.version > game.puzzle_version + 1:
        return Outcome.EARLY
    game.puzzle_version = event.version
    game.apply(event)
    return Outcome.DONE


async def skip(transaction: Transaction, event: PuzzleEvent) -> None:
    """Give an event up, so that those after it can take effect."""
    game = await repository.lock_game(transaction, event.session_id)
    if game is not None and event.version == game.puzzle_version + 1:
        game.puzzle_version = event.version
        await games.keep(transaction, game)
