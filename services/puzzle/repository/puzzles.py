"""SQL on puzzles."""

from typing import Any

from sqlalchemy import Row, bindparam, func, insert, select, update

from contracts.ids import PlayerId, PuzzleId, SessionId
from services.kit.database import NOW_MS, Transaction
from services.puzzle.domain import Closing, Puzzle, PuzzleStatus, Session
from services.puzzle.repository.sessions import players, puzzles, sessions

_COLUMNS = [puzzles.c[name] for name in Puzzle.__struct_fields__]
_IS_OPEN = puzzles.c.status == PuzzleStatus.OPEN


def _puzzle(row: Row[Any]) -> Puzzle:
    fields = row._asdict()
    return Puzzle(**{**fields, "status": PuzzleStatus(fields["status"])})


_LOOK = (
    select(*_COLUMNS, players.c.eliminated_at, NOW_MS.label("now"))
    .join(players, (players.c.session_id == puzzles.c.session_id) & (players.c.player_id == puzzles.c.player_id))
    .where(puzzles.c.puzzle_id == bindparam("puzzle_id"))
)


async def look(transaction: Transaction, puzzle_id: PuzzleId) -> tuple[Puzzle, int | None, int]:
    """A puzzle, when its player was put out, and the time. Only after its session was locked."""
    row = (await transaction.connection.execute(_LOOK, {"puzzle_id": puzzle_id})).one()
    fields = row._asdict()
    out_at, now = fields.pop("eliminated_at"), fields.pop("now")
    return Puzzle(**{**fields, "status": PuzzleStatus(fields["status"])}), out_at, now


async def open_puzzle(transaction: Transaction, session_id: SessionId, player_id: PlayerId) -> Puzzle | None:
    """The player's open puzzle."""
    statement = select(*_COLUMNS).where(puzzles.c.session_id == session_id, puzzles.c.player_id == player_id, _IS_OPEN)
    row = (await transaction.connection.execute(statement)).first()
    return None if row is None else _puzzle(row)


async def due_sessions(transaction: Transaction, limit: int) -> list[SessionId]:
    """Sessions with open puzzles whose time is up, the longest overdue first."""
    statement = (
        select(puzzles.c.session_id)
        .where(_IS_OPEN, puzzles.c.deadline <= NOW_MS)
        .group_by(puzzles.c.session_id)
        .order_by(func.min(puzzles.c.deadline))
        .limit(limit)
    )
    return list((await transaction.connection.execute(statement)).scalars())


async def due_puzzles(transaction: Transaction, session_id: SessionId, at: int) -> list[Puzzle]:
    """The session's open puzzles whose time is up at `at`, in the order of their deadlines."""
    statement = select(*_COLUMNS).where(puzzles.c.session_id == session_id, _IS_OPEN, puzzles.c.deadline <= at)
    rows = await transaction.connection.execute(statement.order_by(puzzles.c.deadline, puzzles.c.puzzle_id))
    return [_puzzle(row) for row in rows]


async def withdraw(transaction: Transaction, session_id: SessionId, player_id: PlayerId | None = None) -> None:
    """Take the open puzzles of a player, or of the whole session, out of the game."""
    these = (puzzles.c.session_id == session_id) & _IS_OPEN
    if player_id is not None:
        these &= puzzles.c.player_id == player_id
    withdrawn = {"status": PuzzleStatus.WITHDRAWN, "closed_at": NOW_MS}
    await transaction.connection.execute(update(puzzles).where(these).values(withdrawn))


_counted = (
    update(sessions)
    .where(sessions.c.session_id == bindparam("p_session_id"))
    .values(version=bindparam("s_version"), last_at=bindparam("s_last_at"), dealt=bindparam("s_dealt"))
)
_closing = (
    update(puzzles)
    .where(puzzles.c.puzzle_id == bindparam("c_puzzle_id"))
    .values(status=bindparam("c_status"), closed_at=bindparam("c_closed_at"), answer=bindparam("c_answer"))
    .returning(puzzles.c.puzzle_id)
    .cte("closing")
)
_dealt = [bindparam(f"p_{column.name}", type_=column.type) for column in _COLUMNS]
_dealing = insert(puzzles).from_select(_COLUMNS, select(*_dealt)).cte("dealing")
# It reads what `closing` returns, so it comes after it, and the index of open puzzles never sees two.
_dealing_after = insert(puzzles).from_select(_COLUMNS, select(*_dealt).select_from(_closing)).cte("dealing")
_DEAL = _counted.add_cte(_dealing)
_CLOSE_AND_DEAL = _counted.add_cte(_closing, _dealing_after)


async def take_turn(transaction: Transaction, session: Session, closing: Closing | None, dealt: Puzzle) -> None:
    """Close one puzzle, or none, open another, and store the session's counters, all in one statement."""
    values = {f"p_{name}": getattr(dealt, name) for name in Puzzle.__struct_fields__}
    values |= {"s_version": session.version, "s_last_at": session.last_at, "s_dealt": session.dealt}
    if closing is None:
        await transaction.connection.execute(_DEAL, values)
        return
    closed = closing.closed
    values |= {"c_puzzle_id": closed.puzzle_id, "c_status": closed.verdict, "c_closed_at": closed.closed_at}
    await transaction.connection.execute(_CLOSE_AND_DEAL, values | {"c_answer": closing.answer})
