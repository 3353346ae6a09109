"""What can be asked about a session: points at this moment, the results."""

from contracts.frames import decode_event
from contracts.ids import SessionId, TeamId
from contracts.rooms import Status
from services.kit.clock import now_ms
from services.kit.database import Transaction
from services.points import errors
from services.points.domain.game import Game
from services.points.domain.results import Results, results_of
from services.points.repository import rooms, teams
from services.points.service import games


async def now_and_game(transaction: Transaction, session_id: SessionId) -> tuple[int, Game]:
    """The database's time and the game. Raises Problem 404."""
    game = await games.get(transaction, session_id)
    return await now_ms(transaction.connection), game


async def latest_of_team(transaction: Transaction, team_id: TeamId) -> SessionId:
    """The team's newest session. Raises Problem 404 where there is none."""
    session_id = await teams.latest_session(transaction, team_id)
    if session_id is None:
        raise errors.session_not_found()
    return session_id


async def results(transaction: Transaction, game: Game) -> Results:
    """A finished game's results. Raises Problem 409 before its end."""
    if game.status is not Status.FINISHED:
        raise errors.session_not_finished()
    frames = await rooms.read_frames(transaction, game.session_id)
    return results_of(game, [decode_event(frame).data for frame in frames])
