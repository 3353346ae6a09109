"""`WS /ws/game/{session_id}`: the handshake of one client's visit."""

from fastapi import APIRouter, WebSocket

from services.realtime import auth
from services.realtime.protocols import SOCKET_EXTENSION
from services.realtime.visit import Socket, Visits

router = APIRouter()


@router.websocket("/ws/game/{session_id}")
async def game(websocket: WebSocket, session_id: str) -> None:
    """Everything that happens in a session, for its team's players, host and spectators. See docs/protocol.md."""
    visits: Visits = websocket.app.state.visits
    offered = websocket.scope["subprotocols"]
    await websocket.accept(auth.accepted_subprotocol(offered))
    socket: Socket = websocket.scope["extensions"][SOCKET_EXTENSION]
    visits.begin(socket, session_id, auth.offered_token(offered))
