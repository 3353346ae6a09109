"""SQL on teams and their players."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, select, union_all
from sqlalchemy.dialects.postgresql import insert as upsert

from contracts.ids import PlayerId, SessionId, TeamId
from contracts.rooms import Status
from services.kit.database import Transaction
from services.kit.models import table_of
from services.points import models, standing_models

_teams, _players, _sessions = table_of(models.Team), table_of(models.Player), table_of(models.Session)
_archived = table_of(standing_models.ArchivedSession)


async def insert_team(transaction: Transaction, team_id: TeamId, code: str, name: str, at: int) -> bool:
    """Store a new team; False if its code is taken."""
    statement = upsert(_teams).values(team_id=team_id, code=code, name=name, created_at=at)
    result = await transaction.connection.execute(statement.on_conflict_do_nothing().returning(_teams.c.team_id))
    return result.first() is not None


async def find_team(transaction: Transaction, team_id: TeamId, *, lock: bool = False) -> Row[Any] | None:
    """The team; `lock` keeps others from changing its members until the end of the transaction."""
    statement = select(_teams).where(_teams.c.team_id == team_id)
    if lock:
        statement = statement.with_for_update()
    return (await transaction.connection.execute(statement)).first()


async def find_team_by_code(transaction: Transaction, code: str, *, lock: bool = False) -> Row[Any] | None:
    """The team with this join code."""
    statement = select(_teams).where(_teams.c.code == code)
    if lock:
        statement = statement.with_for_update()
    return (await transaction.connection.execute(statement)).first()


async def find_players(transaction: Transaction, team_id: TeamId) -> Sequence[Row[Any]]:
    """The team's members by seat."""
    statement = select(_players).where(_players.c.team_id == team_id).order_by(_players.c.seat)
    return (await transaction.connection.execute(statement)).all()


async def has_player(transaction: Transaction, team_id: TeamId, player_id: PlayerId) -> bool:
    """Whether that is a member of the team."""
    this = (_players.c.player_id == player_id) & (_players.c.team_id == team_id)
    return (await transaction.connection.execute(select(_players.c.seat).where(this))).first() is not None


async def insert_player(transaction: Transaction, player: dict[str, Any]) -> bool:
    """Store a new member; False if the name is taken. The caller holds the team's lock and has chosen a free seat."""
    statement = upsert(_players).values(player).on_conflict_do_nothing().returning(_players.c.player_id)
    return (await transaction.connection.execute(statement)).first() is not None


async def delete_player(transaction: Transaction, player_id: PlayerId) -> None:
    """Remove a member from the team. What they did in finished games stays."""
    await transaction.connection.execute(delete(_players).where(_players.c.player_id == player_id))


async def unfinished_session(transaction: Transaction, team_id: TeamId) -> SessionId | None:
    """The team's session that is not finished, if there is one. There is at most one."""
    statement = select(_sessions.c.session_id).where(
        _sessions.c.team_id == team_id, _sessions.c.status != Status.FINISHED.value
    )
    found: UUID | None = (await transaction.connection.execute(statement)).scalar()
    return None if found is None else SessionId(found)


async def latest_session(transaction: Transaction, team_id: TeamId) -> SessionId | None:
    """The team's newest session, archived or not."""
    both = union_all(
        *(
            select(each.c.session_id, each.c.created_at).where(each.c.team_id == team_id)
            for each in (_sessions, _archived)
        )
    ).subquery()
    statement = select(both.c.session_id).order_by(both.c.created_at.desc()).limit(1)
    found: UUID | None = (await transaction.connection.execute(statement)).scalar()
    return None if found is None else SessionId(found)
