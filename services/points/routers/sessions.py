"""Sessions: the lobby, the start, the early end, and the results."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request

from contracts.ids import SessionId
from services.kit.caller import Caller
from services.kit.clock import now_ms
from services.kit.database import Transaction
from services.kit.dependencies import Once, RequestSnapshot, RequestTransaction
from services.kit.settings import split
from services.kit.tokens import Identity, Role
from services.points import errors
from services.points.domain.game import Game
from services.points.domain.views import public_state
from services.points.result_schemas import KeptAliveView, PlayerResultView, ResultsView, StandingsView
from services.points.routers.access import as_host, as_player, in_team
from services.points.schemas import OpenSession, SessionView, SetReady
from services.points.service import games, reading, sessions, standings
from services.points.service.nudging import Nudge
from services.points.settings import PointsSettings

router = APIRouter(tags=["sessions"])


async def _view(transaction: Transaction, game: Game) -> SessionView:
    return SessionView(
        session_id=game.session_id,
        seq=game.seq,
        epoch=game.epoch,
        now=await now_ms(transaction.connection),
        state=msgspec.to_builtins(public_state(game)),
    )


async def _once(
    once: Once, transaction: Transaction, caller: Identity, write: Callable[[], Awaitable[Game]]
) -> SessionView:
    async def run() -> SessionView:
        return await _view(transaction, await write())

    return await once.run(transaction, str(caller.subject), SessionView, run)


@router.post("/sessions", status_code=201)
async def open_session(
    body: OpenSession, request: Request, caller: Caller, transaction: RequestTransaction, once: Once
) -> SessionView:
    """Open the team's lobby. The host only; one unfinished session a team."""
    if caller.role is not Role.HOST:
        raise errors.host_only()
    settings: PointsSettings = request.app.state.settings
    types = frozenset(split(settings.puzzle_types))
    return await _once(
        once, transaction, caller, lambda: sessions.open_lobby(transaction, caller.team_id, body.rules, types)
    )


@router.get("/sessions/{session_id}")
async def get_session(session_id: UUID, caller: Caller, transaction: RequestSnapshot) -> SessionView:
    """The session's public state, the same as a gateway's snapshot."""
    game = await games.get(transaction, SessionId(session_id))
    await in_team(transaction, caller, game.team_id)
    return await _view(transaction, game)


@router.post("/sessions/{session_id}/ready")
async def set_ready(
    session_id: UUID, caller: Caller, transaction: RequestTransaction, once: Once, body: SetReady | None = None
) -> SessionView:
    """Say that one is ready, or not after all. Players only."""
    game = await games.get(transaction, SessionId(session_id))
    player_id = await as_player(transaction, caller, game.team_id)
    ready = True if body is None else body.ready
    return await _once(
        once,
        transaction,
        caller,
        lambda: sessions.set_ready(transaction, SessionId(session_id), player_id, ready),
    )


@router.post("/sessions/{session_id}/start")
async def start_session(session_id: UUID, caller: Caller, transaction: RequestTransaction, once: Once) -> SessionView:
    """Begin the countdown. The host only; from here on nobody joins, and the rules are fixed."""
    as_host(caller, (await games.get(transaction, SessionId(session_id))).team_id)
    return await _once(once, transaction, caller, lambda: sessions.start(transaction, SessionId(session_id)))


@router.post("/sessions/{session_id}/end")
async def end_session(session_id: UUID, caller: Caller, transaction: RequestTransaction, once: Once) -> SessionView:
    """End early, as of this instant. The host only. `session.finished` follows once all earlier answers are applied."""
    as_host(caller, (await games.get(transaction, SessionId(session_id))).team_id)
    transaction.post(Nudge())
    return await _once(once, transaction, caller, lambda: sessions.end(transaction, SessionId(session_id)))


@router.get("/sessions/{session_id}/results")
async def get_results(session_id: UUID, caller: Caller, transaction: RequestSnapshot) -> ResultsView:
    """What a finished session amounts to: time, puzzles, who kept whom alive, and how that stands among others."""
    game = await games.get(transaction, SessionId(session_id))
    await in_team(transaction, caller, game.team_id)
    results = await reading.results(transaction, game)
    found = await standings.of_game(transaction, game, results)
    return ResultsView(
        session_id=game.session_id,
        survival_ms=results.survival_ms,
        end_reason=results.end_reason.value,
        standings=None if found is None else StandingsView.model_validate(found),
        players=[PlayerResultView.model_validate(player) for player in results.players],
        kept_alive=[KeptAliveView.model_validate(kept) for kept in results.kept_alive],
    )
