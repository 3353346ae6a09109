"""`GET /sse/game/{session_id}`: what a socket is told, as Server-Sent Events, for networks without WebSockets."""

import asyncio
from contextlib import ExitStack
from typing import Annotated, Final, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from contracts.frames import Join
from contracts.ids import RoomSeq, SessionId
from services.kit import metrics
from services.kit.caller import Caller
from services.kit.errors import ProblemDocument
from services.kit.problem import Problem
from services.kit.supervise import stop
from services.kit.tokens import Identity
from services.realtime import auth
from services.realtime.close_codes import Close, Refused
from services.realtime.inbound import MAX_SEQ
from services.realtime.room import Room
from services.realtime.stream import Stream
from services.realtime.visit import Visits

router = APIRouter(tags=["stream"])

_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx passes on what it gets at once
}
_REFUSALS: Final = {
    Close.FORBIDDEN: (403, "This token opens another team's sessions, or its player has no seat in this one."),
    Close.LEFT: (403, "The player of this token has left the team or was removed from it."),
    Close.UNKNOWN_SESSION: (404, "There is no such session."),
    Close.TOO_MANY_CONNECTIONS: (429, "This token has as many connections as it may."),
    Close.ROOM_UNAVAILABLE: (503, "The session's room cannot be read at the moment; repeat the request."),
    Close.SEQUENCE_LOST: (503, "The sequence cannot be gone on with at the moment; repeat the request."),
}
_RESPONSES: Final = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Until one of both ends it"},
    429: {"model": ProblemDocument, "description": "Too Many Requests"},
}

LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        pattern=r"^[^:]{1,64}:[0-9]{1,16}$",
        description="`<epoch>:<seq>`, the id of the last event: the stream goes on after it.",
    ),
]


class _Client(NamedTuple):
    """Whose stream it is, of which session, from where, and the place at which an earlier one ended."""

    identity: Identity
    session_id: SessionId
    address: str
    since: Join


def _check_limits(request: Request) -> None:
    visits: Visits = request.app.state.visits
    visits.limits.check(request.headers.get("origin"), request.headers.get("host"), _address_of(request))


def _address_of(request: Request) -> str:
    return request.client.host if request.client else ""


@router.get(
    "/sse/game/{session_id}",
    dependencies=[Depends(_check_limits)],
    response_class=Response,
    responses=_RESPONSES,  # type: ignore[arg-type]  # FastAPI's type is an invariant dict
)
async def game(request: Request, session_id: UUID, caller: Caller, last_event_id: LastEventId = None) -> Response:
    """Everything that happens in a session, for its team's players, host and spectators. See docs/protocol.md."""
    client = _Client(caller, SessionId(session_id), _address_of(request), _join_after(last_event_id))
    return _StreamResponse(request.app.state.visits, client)


def _join_after(last_event_id: str | None) -> Join:
    epoch, _, seq = (last_event_id or "").partition(":")
    if not seq:
        return Join()
    if int(seq) > MAX_SEQ:
        raise Problem(422, "invalid_request", "Last-Event-ID: the number is out of range")
    return Join(epoch=epoch, seq=RoomSeq(int(seq)))


class _StreamResponse(Response):
    """One client's stream from its entry to its end. What refuses it before that is a problem document.

    A client that takes nothing more is cut off by services/realtime/http_protocol.py, also where this waits for it.
    """

    media_type = "text/event-stream"

    def __init__(self, visits: Visits, client: _Client) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._visits = visits
        self._client = client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream = Stream(self._visits.settings.send_queue_bytes)
        with ExitStack() as leaving:
            try:
                room = await self._enter(stream, leaving)
            except Refused as refused:
                status, detail = _REFUSALS[refused.close]
                raise Problem(status, refused.close.reason, detail) from refused
            epoch = room.position.epoch if room.position else ""
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            watch = asyncio.create_task(_until_gone(receive), name="stream's end")
            watch.add_done_callback(lambda _: stream.lost())
            try:
                async for chunk in stream.chunks(epoch):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            finally:
                await stop([watch])

    async def _enter(self, stream: Stream, leaving: ExitStack) -> Room:
        """Let the client in as one who is there; `leaving` takes it out again."""
        visits, (identity, session_id, address, since) = self._visits, self._client
        visits.limits.connect(address)
        leaving.callback(visits.limits.disconnect, address)
        visits.limits.join(identity.subject)
        leaving.callback(visits.limits.leave, identity.subject)
        connections = metrics.connections.labels("sse")
        connections.inc()
        leaving.callback(connections.dec)
        room = await visits.entrance.enter(stream, session_id, identity, since)
        leaving.callback(room.leave, stream)
        visits.presence.join(session_id, identity)
        leaving.callback(visits.presence.leave, session_id, identity)
        delay_s = auth.expires_in_s(identity, visits.settings.token_grace_s)
        expiry = asyncio.get_running_loop().call_later(delay_s, stream.close, Close.EXPIRED_TOKEN)
        leaving.callback(expiry.cancel)
        return room


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
