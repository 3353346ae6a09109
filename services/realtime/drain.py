"""Leaving without hurting anybody: a gateway that is told to stop sends its clients elsewhere, a team at a time."""

import asyncio
import random
import socket

import structlog
import uvicorn

from contracts.frames import Move, encode
from services.realtime.close_codes import Close
from services.realtime.frame import Batch, Frame
from services.realtime.hub import Hub
from services.realtime.limits import Limits
from services.realtime.room import Room
from services.realtime.settings import RealtimeSettings

log = structlog.get_logger()

MOVES_PER_S = 500
"""How many clients are sent away a second, where there is time: where they go, each costs about a millisecond."""
LOOK_EVERY_S = 0.05


class Drain:
    """Unready and closed to new clients from the first moment on; then the old ones leave within `drain_s`."""

    def __init__(self, settings: RealtimeSettings, limits: Limits, hub: Hub) -> None:
        self._notice_s = settings.drain_notice_s
        self._drain_s = settings.drain_s
        self._limits = limits
        self._hub = hub

    async def run(self) -> None:
        """Return when all clients have gone, or their time is up."""
        self._limits.draining = True
        await asyncio.sleep(self._notice_s)
        loop = asyncio.get_running_loop()
        rooms = list(self._hub)
        clients = sum(len(room.members) for room in rooms)
        window_s = min(self._drain_s / 2, clients / MOVES_PER_S)
        log.info("draining", sockets=self._limits.open, clients=clients, window_s=round(window_s, 3))
        for room in rooms:
            delay_s = random.uniform(0, window_s)  # noqa: S311 (it spreads load, it keeps no secret)
            _tell(room, delay_s)
            loop.call_later(delay_s, _send_away, room)
        deadline = loop.time() + self._drain_s
        while (self._limits.open or any(room.members for room in rooms)) and loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_EVERY_S)
        log.info("drained", left=self._limits.open)


def _tell(room: Room, delay_s: float) -> None:
    move = Batch([Frame(encode(Move(in_ms=round(delay_s * 1000))), ephemeral=True)])
    for member in room.members:
        member.deliver(move)


def _send_away(room: Room) -> None:
    for member in room.members:
        member.close(Close.SERVICE_RESTART)


class DrainingServer(uvicorn.Server):
    """uvicorn closes its sockets before the application hears that it is to stop; this drains first."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, unless somebody insists, and shut down."""
        drain: Drain | None = self.lifespan.state.get("drain")
        if drain is not None:
            draining = asyncio.create_task(drain.run(), name="drain")
            while not draining.done() and not self.force_exit:
                await asyncio.wait({draining}, timeout=LOOK_EVERY_S)
            draining.cancel()
        await super().shutdown(sockets)
        if not self.force_exit:
            # uvicorn would let the signal end the process now, as if it had not been able to stop.
            self._captured_signals.clear()
