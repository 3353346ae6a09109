"""SQL on puzzles."""

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, Row, Uuid, any_, bindparam, func, select, update

from contracts.ids import PlayerId, PuzzleId, SessionId
from services.kit.database import NOW_MS, Transaction
from services.puzzle.domain import Puzzle, PuzzleStatus
from services.puzzle.repository.sessions import players, puzzles

_COLUMNS = [puzzles.c[name] for name in Puzzle.__struct_fields__]
_IS_OPEN = puzzles.c.status == PuzzleStatus.OPEN


def _puzzle(row: Row[Any]) -> Puzzle:
    fields = row._asdict()
    return Puzzle(**{**fields, "status": PuzzleStatus(fields["status"])})


_LOOK = (
    select(*_COLUMNS, players.c.eliminated_at, NOW_MS.label("now"))
    .join(players, (players.c.session_id == puzzles.c.session_id) & (players.c.player_id == puzzles.c.player_id))
    .where(puzzles.c.puzzle_id == any_(bindparam("puzzle_ids", type_=ARRAY(Uuid))))
)


class Look(NamedTuple):
    """A puzzle, when its player was put out, and the time."""

    puzzle: Puzzle
    eliminated_at: int | None
    now: int


async def look(transaction: Transaction, puzzle_ids: Collection[PuzzleId]) -> dict[PuzzleId, Look]:
    """The puzzles. Only after their sessions were locked."""
    rows = await transaction.connection.execute(_LOOK, {"puzzle_ids": list(puzzle_ids)})
    found = {}
    for *values, eliminated_at, now in rows:
        puzzle = dict(zip(Puzzle.__struct_fields__, values, strict=True))
        puzzle["status"] = PuzzleStatus(puzzle["status"])
        found[puzzle["puzzle_id"]] = Look(Puzzle(**puzzle), eliminated_at, now)
    return found


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


async def due_puzzles(transaction: Transaction, session_ids: Collection[SessionId], at: int) -> list[Puzzle]:
    """The sessions' open puzzles whose time is up at `at`, in the order of their deadlines."""
    these = puzzles.c.session_id == any_(bindparam("session_ids", type_=ARRAY(Uuid)))
    statement = select(*_COLUMNS).where(these, _IS_OPEN, puzzles.c.deadline <= at)
    in_order = statement.order_by(puzzles.c.deadline, puzzles.c.puzzle_id)
    rows = await transaction.connection.execute(in_order, {"session_ids": list(session_ids)})
    return [_puzzle(row) for row in rows]


async def withdraw(transaction: Transaction, session_id: SessionId, player_id: PlayerId | None = None) -> None:
    """Take the open puzzles of a player, or of the whole session, out of the game."""
    these = (puzzles.c.session_id == session_id) & _IS_OPEN
    if player_id is not None:
        these &= puzzles.c.player_id == player_id
    withdrawn = {"status": PuzzleStatus.WITHDRAWN, "closed_at": NOW_MS}
    await transaction.connection.execute(update(puzzles).where(these).values(withdrawn))
