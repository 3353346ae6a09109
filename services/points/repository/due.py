"""SQL on what time alone has to change."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Select, Uuid, all_, bindparam, select

from contracts.ids import SessionId
from contracts.rooms import Status
from services.kit.database import Transaction
from services.kit.models import table_of
from services.points import models
from services.points.domain.game import Game
from services.points.repository.games import GAMES, find_games

_sessions = table_of(models.Session)


def _claim(*conditions: ColumnElement[bool]) -> Select[Any]:
    besides = all_(bindparam("besides", type_=ARRAY(Uuid)))
    found = GAMES.where(*conditions, _sessions.c.session_id != besides).order_by(_sessions.c.due_at)
    return found.limit(bindparam("limit")).with_for_update(of=_sessions, skip_locked=True)


_is_due = _sessions.c.due_at <= bindparam("now", type_=BigInteger)
_waits_for_nothing = _sessions.c.awaited_version <= _sessions.c.puzzle_version
_has_requests = _sessions.c.session_id.in_(select(models.TickRequest.session_id))
_claim_due = _claim(_is_due, _waits_for_nothing)
_claim_asked = _claim(_has_requests, _waits_for_nothing)
_claim_countdowns = _claim(_is_due, _sessions.c.status == Status.COUNTDOWN.value)


async def claim_due(
    transaction: Transaction, now: int, limit: int, besides: Collection[SessionId] = ()
) -> dict[SessionId, Game]:
    """Games in which time or an operator has something to change, the most overdue first, and locked.

    Whoever asks meanwhile is given others. A game that waits for an answer is not among them until that was applied.
    """
    parameters = {"limit": limit, "besides": list(besides)}
    due = await find_games(transaction, _claim_due, now=now, **parameters)
    return due or await find_games(transaction, _claim_asked, **parameters)


async def claim_countdowns(
    transaction: Transaction, now: int, limit: int, besides: Collection[SessionId] = ()
) -> dict[SessionId, Game]:
    """Games whose countdown is over, locked in the same way."""
    return await find_games(transaction, _claim_countdowns, now=now, limit=limit, besides=list(besides))


async def old_lobbies(transaction: Transaction, created_before: int, limit: int) -> Sequence[SessionId]:
    """Lobbies made before an instant."""
    statement = (
        select(_sessions.c.session_id)
        .where(_sessions.c.status == Status.LOBBY.value, _sessions.c.created_at < created_before)
        .limit(limit)
    )
    return [SessionId(found) for found in (await transaction.connection.execute(statement)).scalars()]
