"""`python -m baton watch`: what a session's room says, a line a message, for people who write clients."""

import asyncio
import json
import random

import typer
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from baton.demo.backoff import NO_CLOSE_FRAME, full_jitter, may_come_back
from baton.demo.gateway import open_socket


async def watch(url: str, session_id: str, token: str, seconds: float | None) -> int:
    """Print every frame as it arrives, over lost connections too, for so long or for ever. Returns the exit code.

    Frames go to standard output, connections and closes to standard error.
    """
    address = f"{url.rstrip('/').replace('http', 'ws', 1)}/ws/game/{session_id}"
    position: dict[str, object] = {}
    attempt = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                code, reason = await _listen(address, token, position)
                typer.echo(f"watch: closed with {code} {reason}".strip(), err=True)
                if not may_come_back(code):
                    return 1
                await asyncio.sleep(full_jitter(attempt, random.Random()))
                attempt += 1
    except TimeoutError:
        return 0


async def _listen(address: str, token: str, position: dict[str, object]) -> tuple[int, str]:
    try:
        async with open_socket(address) as socket:
            await socket.send(json.dumps({"type": "join", "token": token, **position}))
            async for frame in socket:
                typer.echo(frame)
                message = json.loads(frame)
                if message["type"] != "tick":  # whose `seq` is the room's, not ours
                    position.update({name: message[name] for name in ("seq", "epoch") if name in message})
            return socket.close_code or NO_CLOSE_FRAME, socket.close_reason or ""
    except ConnectionClosed as closed:
        return (NO_CLOSE_FRAME, "") if closed.rcvd is None else (closed.rcvd.code, closed.rcvd.reason)
    except (OSError, InvalidHandshake) as error:
        return NO_CLOSE_FRAME, str(error)
