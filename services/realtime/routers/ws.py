"""`WS /ws/game/{session_id}`: the handshake of one client's visit."""

from fastapi import APIRouter, WebSocket

from services.kit.errors import problem_response
from services.kit.problem import Problem
from services.realtime import auth
from services.realtime.limits import RETRY_AFTER_S
from services.realtime.socket_protocol import SOCKET_EXTENSION
from services.realtime.visit import Socket, Visits

router = APIRouter()


@router.websocket("/ws/game/{session_id}")
async def game(websocket: WebSocket, session_id: str) -> None:
    """Everything that happens in a session, for its team's players, host and spectators. See docs/protocol.md."""
    visits: Visits = websocket.app.state.visits
    address = websocket.client.host if websocket.client else ""
    try:
        visits.limits.check(websocket.headers.get("origin"), websocket.headers.get("host"), address)
    except Problem as problem:
        headers = {"Retry-After": str(RETRY_AFTER_S)} if problem.status == 503 else None
        await websocket.send_denial_response(problem_response(problem, headers))
        return
    offered = websocket.scope["subprotocols"]
    await websocket.accept(auth.accepted_subprotocol(offered))
    socket: Socket = websocket.scope["extensions"][SOCKET_EXTENSION]
    visits.begin(socket, session_id, address, auth.offered_token(offered))
