"""What players ask for: a puzzle, and a look at it."""

from msgspec import Struct

from contracts.ids import PlayerId, SessionId, TeamId
from contracts.puzzles import PuzzleView, Verdict
from services.kit.clock import now_ms
from services.kit.database import Transaction
from services.puzzle import domain, errors
from services.puzzle.domain import Closing, Puzzle
from services.puzzle.repository import puzzles, sessions
from services.puzzle.service.dealing import keep, next_turn
from services.puzzle.types.registry import Registry


class Dealt(Struct, frozen=True):
    """A player's open puzzle."""

    session_id: SessionId
    player_id: PlayerId
    puzzle: PuzzleView


async def create(transaction: Transaction, types: Registry, player_id: PlayerId, type_name: str | None) -> Dealt:
    """Deal a puzzle to a player who has none, or whose time for it is up; of the given type, or of a random one.

    The choice is among the session's types. Raises Problem.
    """
    session = await sessions.lock_by_player(transaction, player_id)
    if session is None:
        raise errors.player_not_in_game()
    if refusal := domain.may_play(session, await sessions.eliminated_at(transaction, session.session_id, player_id)):
        raise errors.refused(refusal)
    if type_name is not None and type_name not in session.puzzle_types:
        raise errors.unknown_puzzle_type(session.puzzle_types)
    at = domain.instant(session, await now_ms(transaction.connection))
    current = await puzzles.open_puzzle(transaction, session.session_id, player_id)
    closing = None
    if current is not None:
        if not domain.is_over(current, at):
            raise errors.refused(domain.Refusal.PUZZLE_OPEN)
        closing = expiry(types, current, at)
    turn = next_turn(types, session, player_id, at, closing=closing, type_name=type_name)
    await keep(transaction, [turn])
    return Dealt(session.session_id, player_id, turn.dealt.public)


async def current(
    transaction: Transaction, player_id: PlayerId, team_id: TeamId, asking: PlayerId | None = None
) -> Dealt:
    """The open puzzle of a player of this team, also for another player `asking`, who has to be in the same game.

    Raises Problem.
    """
    newest = await sessions.newest_session(transaction, player_id)
    if newest is None:
        raise errors.no_open_puzzle()
    session_id, team = newest
    if team != team_id:
        raise errors.not_your_team()
    puzzle = await puzzles.open_puzzle(transaction, session_id, player_id)
    if puzzle is None:
        raise errors.no_open_puzzle()
    if asking is not None and not await sessions.has_player(transaction, session_id, asking):
        raise errors.not_your_game()
    return Dealt(session_id, player_id, puzzle.public)


def expiry(types: Registry, puzzle: Puzzle, at: int) -> Closing:
    """The end of a puzzle whose time is up."""
    solution = types.get(puzzle.type).reveal(puzzle.view, puzzle.hidden)
    return domain.close(puzzle, Verdict.EXPIRED, solution, at)
