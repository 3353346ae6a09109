"""`GET /config`: a client knows the gateway alone, and learns here where the rest is."""

import re

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from contracts.frames import PROTOCOL
from services.kit.problem import Problem
from services.realtime.settings import RealtimeSettings

SOCKET_PATH = "/ws/game/{session_id}"
STREAM_PATH = "/sse/game/{session_id}"

_HOST = re.compile(r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")

router = APIRouter(tags=["config"])


class Config(BaseModel):
    """Public addresses. An empty one means the gateway's own origin, where the paths are in any case."""

    protocol: str
    points_url: str
    puzzle_url: str
    socket_path: str
    stream_path: str


@router.get("/config")
async def config(request: Request, response: Response) -> Config:
    """Where the services are, as seen from this client."""
    settings: RealtimeSettings = request.app.state.settings
    response.headers["Cache-Control"] = "no-cache"
    return Config(
        protocol=PROTOCOL,
        points_url=_seen_by(request, settings.points_url),
        puzzle_url=_seen_by(request, settings.puzzle_url),
        socket_path=SOCKET_PATH,
        stream_path=STREAM_PATH,
    )


def _seen_by(request: Request, url: str) -> str:
    """The address with `{host}` replaced by the name under which the client knows this machine."""
    if "{host}" not in url:
        return url
    match = _HOST.fullmatch(request.headers.get("host", ""))
    if match is None:
        raise Problem(400, "invalid_host", "The Host header is not a host name or address with an optional port.")
    return url.replace("{host}", match["name"])
