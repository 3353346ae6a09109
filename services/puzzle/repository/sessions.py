"""SQL on sessions and their players. Whoever changes anything of a session holds its row's lock."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ARRAY, Row, Select, Uuid, any_, bindparam, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from contracts.events import SessionCountdown
from contracts.ids import PlayerId, PuzzleId, SessionId, TeamId
from services.kit.database import NOW_MS, Transaction
from services.kit.models import table_of
from services.puzzle import models
from services.puzzle.domain import PuzzleStatus, Session, Status

sessions = table_of(models.Session)
players = table_of(models.Player)
puzzles = table_of(models.Puzzle)

_COLUMNS = [sessions.c[name] for name in Session.__struct_fields__]


def _session(row: Row[Any]) -> Session:
    fields = row._asdict()
    return Session(**{**fields, "status": Status(fields["status"])})


_newest = (
    select(sessions.c.session_id, sessions.c.team_id)
    .join(players, players.c.session_id == sessions.c.session_id)
    .where(players.c.player_id == bindparam("player_id"))
    .order_by(sessions.c.starts_at.desc(), sessions.c.session_id)
    .limit(1)
)
_of_player = _newest.with_only_columns(sessions.c.session_id).scalar_subquery()
_of_puzzles = select(puzzles.c.session_id).where(
    puzzles.c.puzzle_id == any_(bindparam("puzzle_ids", type_=ARRAY(Uuid)))
)

_find = select(*_COLUMNS).where(sessions.c.session_id == bindparam("session_id"))
_LOCK = _find.with_for_update()
_are_these = sessions.c.session_id == any_(bindparam("session_ids", type_=ARRAY(Uuid)))
_LOCK_UNLESS_HELD = select(*_COLUMNS).where(_are_these).with_for_update(skip_locked=True)
# In one order, so that two who lock several never wait for each other.
_LOCK_ALL = select(sessions.c.session_id).where(_are_these).order_by(sessions.c.session_id).with_for_update()
_FIX = (
    update(sessions)
    .where(_are_these)
    .values(last_at=func.greatest(sessions.c.last_at, NOW_MS))
    .returning(sessions.c.session_id, sessions.c.last_at, sessions.c.version)
)
_find_by_puzzles = select(*_COLUMNS).where(sessions.c.session_id.in_(_of_puzzles)).order_by(sessions.c.session_id)
_LOCK_BY_PUZZLES = _find_by_puzzles.with_for_update()
_LOCK_BY_PUZZLES_UNLESS_HELD = _find_by_puzzles.with_for_update(skip_locked=True)
_LOCK_BY_PLAYER = select(*_COLUMNS).where(sessions.c.session_id == _of_player).with_for_update()


async def _first(transaction: Transaction, statement: Select[Any], **parameters: object) -> Session | None:
    row = (await transaction.connection.execute(statement, parameters)).first()
    return None if row is None else _session(row)


async def lock(transaction: Transaction, session_id: SessionId) -> Session | None:
    """The session, its row locked until the end of the transaction."""
    return await _first(transaction, _LOCK, session_id=session_id)


async def lock_unless_held(transaction: Transaction, session_ids: Collection[SessionId]) -> dict[SessionId, Session]:
    """Those of the sessions that nobody else holds at the moment, locked."""
    rows = await transaction.connection.execute(_LOCK_UNLESS_HELD, {"session_ids": list(session_ids)})
    return {row.session_id: _session(row) for row in rows}


async def lock_by_puzzles(
    transaction: Transaction, puzzle_ids: Collection[PuzzleId], *, skip_held: bool = False
) -> dict[SessionId, Session]:
    """The sessions that the puzzles belong to, locked. With `skip_held`, without those that somebody else holds now."""
    statement = _LOCK_BY_PUZZLES_UNLESS_HELD if skip_held else _LOCK_BY_PUZZLES
    rows = await transaction.connection.execute(statement, {"puzzle_ids": list(puzzle_ids)})
    return {row.session_id: _session(row) for row in rows}


async def lock_by_player(transaction: Transaction, player_id: PlayerId) -> Session | None:
    """The newest session of a player, locked."""
    return await _first(transaction, _LOCK_BY_PLAYER, player_id=player_id)


async def newest_session(transaction: Transaction, player_id: PlayerId) -> tuple[SessionId, TeamId] | None:
    """Id and team of the newest session of a player."""
    row = (await transaction.connection.execute(_newest, {"player_id": player_id})).first()
    return None if row is None else (row.session_id, row.team_id)


async def has_player(transaction: Transaction, session_id: SessionId, player_id: PlayerId) -> bool:
    """Whether the player is in the session's roster."""
    this = (players.c.session_id == session_id) & (players.c.player_id == player_id)
    return (await transaction.connection.execute(select(players.c.player_id).where(this))).first() is not None


async def add_session(transaction: Transaction, event: SessionCountdown) -> bool:
    """Keep a copy of a session and its roster; False if somebody else just did."""
    added = await transaction.connection.execute(
        upsert(sessions)
        .values(
            session_id=event.session_id,
            team_id=event.team_id,
            status=Status.COUNTDOWN,
            puzzle_types=event.puzzle_types,
            difficulty=event.difficulty,
            seed=event.seed,
            starts_at=event.starts_at,
            points_version=event.version,
            version=0,
            last_at=0,
            dealt=0,
        )
        .on_conflict_do_nothing()
        .returning(sessions.c.session_id)
    )
    if added.first() is None:
        return False
    rows = [{"session_id": event.session_id, "player_id": player_id} for player_id in event.players]
    await transaction.connection.execute(insert(players), rows)
    return True


async def set_points_version(transaction: Transaction, session_id: SessionId, version: int) -> None:
    """Remember the last of points' events that was applied."""
    await transaction.connection.execute(
        update(sessions).where(sessions.c.session_id == session_id).values(points_version=version)
    )


async def set_status(transaction: Transaction, session_id: SessionId, status: Status) -> None:
    """Move a session on."""
    ended = {"finished_at": NOW_MS} if status is Status.FINISHED else {}
    await transaction.connection.execute(
        update(sessions).where(sessions.c.session_id == session_id).values(status=status, **ended)
    )


async def eliminate(transaction: Transaction, session_id: SessionId, player_id: PlayerId, at: int) -> None:
    """Put a player out."""
    this = (players.c.session_id == session_id) & (players.c.player_id == player_id)
    await transaction.connection.execute(update(players).where(this).values(eliminated_at=at))


async def eliminated_at(transaction: Transaction, session_id: SessionId, player_id: PlayerId) -> int | None:
    """When the player was put out. The player is in the session."""
    this = (players.c.session_id == session_id) & (players.c.player_id == player_id)
    at: int | None = (await transaction.connection.execute(select(players.c.eliminated_at).where(this))).scalar_one()
    return at


async def without_puzzle(transaction: Transaction, session_id: SessionId) -> list[PlayerId]:
    """The players still in who have no open puzzle."""
    has_one = select(puzzles.c.puzzle_id).where(
        puzzles.c.session_id == players.c.session_id,
        puzzles.c.player_id == players.c.player_id,
        puzzles.c.status == PuzzleStatus.OPEN,
    )
    statement = select(players.c.player_id).where(
        players.c.session_id == session_id, players.c.eliminated_at.is_(None), ~has_one.exists()
    )
    return list((await transaction.connection.execute(statement.order_by(players.c.player_id))).scalars())


async def fix_positions(
    transaction: Transaction, session_ids: Collection[SessionId]
) -> list[tuple[SessionId, int, int]]:
    """Id, last instant and version of sessions, after setting their last instant to now at least. Locks them."""
    these = {"session_ids": list(session_ids)}
    await transaction.connection.execute(_LOCK_ALL, these)
    rows = await transaction.connection.execute(_FIX, these)
    return [(session_id, last_at, version) for session_id, last_at, version in rows]
