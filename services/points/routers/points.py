"""Points: everybody's at this moment, why they are so, and the operator's hand on the decay."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from contracts.ids import PlayerId, SessionId, TeamId
from services.kit.caller import Caller
from services.kit.database import Transaction
from services.kit.dependencies import Once, RequestSnapshot, RequestTransaction
from services.kit.tokens import Identity
from services.points.domain.views import points_of
from services.points.routers.access import AsOperator, in_team, of_team
from services.points.schemas import (
    BalanceView,
    DecayTriggered,
    LedgerEntryView,
    LedgerPage,
    PlayerPoints,
    PointsView,
    TriggerDecay,
)
from services.points.service import games, ledger, reading, settling
from services.points.service.nudging import Nudge

router = APIRouter(tags=["points"])


async def _points(transaction: Transaction, session_id: SessionId, caller: Identity) -> PointsView:
    now, game = await reading.now_and_game(transaction, session_id)
    await in_team(transaction, caller, game.team_id)
    return PointsView(
        session_id=session_id,
        status=game.status.value,
        at=now,
        players=[
            PlayerPoints(
                player_id=seat.player_id,
                seat=seat.seat,
                name=seat.name,
                points=points_of(game, seat, now),
                zero_at=seat.zero_at,
                eliminated_at=seat.eliminated_at,
            )
            for seat in game.seats
        ],
    )


@router.get("/sessions/{session_id}/points")
async def session_points(session_id: UUID, caller: Caller, transaction: RequestSnapshot) -> PointsView:
    """Everybody's points in a session at this moment."""
    return await _points(transaction, SessionId(session_id), caller)


@router.get("/teams/{team_id}/points")
async def team_points(team_id: UUID, caller: Caller, transaction: RequestSnapshot) -> PointsView:
    """Everybody's points in the team's newest session at this moment."""
    of_team(caller, TeamId(team_id))
    session_id = await reading.latest_of_team(transaction, TeamId(team_id))
    return await _points(transaction, session_id, caller)


@router.get("/sessions/{session_id}/ledger")
async def session_ledger(
    session_id: UUID,
    caller: Caller,
    transaction: RequestSnapshot,
    player_id: Annotated[UUID | None, Query(description="only what changed this player's points")] = None,
    after: Annotated[int, Query(ge=0, le=2**62, description="`next` of the page before")] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> LedgerPage:
    """Every entry that changed somebody's points, page by page, in the order in which they were made.

    An entry tells what the decay took since the player's entry before, and what the player had after it; the last page,
    what decayed since then and what is left. So each point is accounted for: all amounts less all that decayed are
    the points that are left.
    """
    game = await games.get(transaction, SessionId(session_id))
    await in_team(transaction, caller, game.team_id)
    player = None if player_id is None else PlayerId(player_id)
    entries, balances = await ledger.page(transaction, game, player, after, limit)
    return LedgerPage(
        entries=[
            LedgerEntryView.model_validate({**found.entry._asdict(), "decayed": found.decayed, "points": found.points})
            for found in entries
        ],
        balances=[BalanceView.model_validate(balance) for balance in balances],
        next=entries[-1].entry.entry_id if len(entries) == limit else None,
    )


@router.post("/points/decay", status_code=202, dependencies=[AsOperator])
async def trigger_decay(body: TriggerDecay, transaction: RequestTransaction, once: Once) -> DecayTriggered:
    """Settle what is due now, and take extra ticks from every active player. Operators only."""

    async def trigger() -> DecayTriggered:
        session_id = None if body.session_id is None else SessionId(body.session_id)
        run_id, count = await settling.request_ticks(transaction, session_id, body.ticks)
        transaction.post(Nudge())
        return DecayTriggered(run_id=run_id, sessions=count, ticks=body.ticks)

    return await once.run(transaction, "operator", DecayTriggered, trigger)
