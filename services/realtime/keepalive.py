"""Pings: one timer for all clients, a few clients at a time, and no moment at which many are due.

Reaches into uvicorn 0.54, as socket_protocol.py does.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

STEP_S: Final = 0.05
STOOD_S: Final = 0.5
"""A wheel so late has stood with its process. Less is the load of the moment, and is made up for."""
PING_HEAD: Final = b"\x89\x04"


class Wheel:
    """Calls each function that is on it once every `turn_s`, first at any time within that.

    `stood_at` is when, by the loop's clock, it last went on after it had stood, as when the process had been stopped.
    """

    def __init__(self, turn_s: float) -> None:
        self._slots: list[set[Callable[[], None]]] = [set() for _ in range(max(1, round(turn_s / STEP_S)))]
        self._step_s = turn_s / len(self._slots)
        self._next = 0
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._due_at = 0.0
        self.stood_at = 0.0

    def add(self, call: Callable[[], None]) -> int:
        """Call that from now on. Returns its place, by which it is removed."""
        place = random.randrange(len(self._slots))  # noqa: S311 (it keeps no secret)
        self._slots[place].add(call)
        self._size += 1
        if self._timer is None:
            self._due_at = asyncio.get_running_loop().time()
            self._wait()
        return place

    def remove(self, place: int, call: Callable[[], None]) -> None:
        """Do not call it any more."""
        self._slots[place].remove(call)
        self._size -= 1
        if not self._size and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        # Counted from when the last step was due, or a turn would take the longer the more there is to do.
        loop = asyncio.get_running_loop()
        self._due_at += self._step_s
        if loop.time() > self._due_at + STOOD_S:
            # Made up for, whole turns would be over at once, and nobody had had the time that a turn is.
            self._due_at = self.stood_at = loop.time()
        self._timer = loop.call_at(self._due_at, self._step)

    def _step(self) -> None:
        self._wait()  # before the calls, so that none of them can stop the others
        due, self._next = self._slots[self._next], (self._next + 1) % len(self._slots)
        for call in list(due):
            call()


_wheels: WeakKeyDictionary[ServerState, Wheel] = WeakKeyDictionary()
"""One for each server, as its connections are: what uvicorn gives a protocol holds nothing else of the kind."""


class PingingProtocol(WebSocketsSansIOProtocol):
    """A WebSocket whose client is pinged once every `ws_ping_interval`, and gone if it has not answered by the next.

    It is given until the one after that where the gateway has stood meanwhile: its answer may be waiting to be read.
    """

    _place: int | None = None

    def __init__(self, config: Config, server_state: ServerState, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, server_state, *args, **kwargs)
        if self.ping_interval and server_state not in _wheels:
            _wheels[server_state] = Wheel(self.ping_interval)
        self._wheel = _wheels.get(server_state)

    def schedule_ping(self) -> None:
        if self._wheel is not None and self._place is None:
            self._place = self._wheel.add(self.send_keepalive_ping)

    def stop_keepalive(self) -> None:
        super().stop_keepalive()
        if self._wheel is not None and self._place is not None:
            self._wheel.remove(self._place, self.send_keepalive_ping)
            self._place = None

    def send_keepalive_ping(self) -> None:
        if self.close_sent or self.transport.is_closing():
            self.stop_keepalive()
        elif self.pending_ping_payload is not None:
            if self._wheel is not None and self.ping_sent_at < self._wheel.stood_at:
                self.ping_sent_at = self._wheel.stood_at
                return
            self.stop_keepalive()
            self.keepalive_timeout()
        else:
            self.pending_ping_payload = random.randbytes(4)  # noqa: S311 (it only tells an answer from an older one)
            self.ping_sent_at = self.loop.time()
            self.transport.write(PING_HEAD + self.pending_ping_payload)

    def take_pong(self, payload: bytes) -> bool:
        """Measure the way there and back. Returns whether that was the answer to the last ping."""
        if payload != self.pending_ping_payload:
            return False
        self.pending_ping_payload = None
        self.last_ping_rtt = self.loop.time() - self.ping_sent_at
        return True
