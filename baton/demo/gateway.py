"""A socket to the gateway that comes back after a break and goes on where it was."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from baton.demo.backoff import NO_CLOSE_FRAME, full_jitter, may_come_back
from baton.demo.client import is_loopback
from baton.demo.recording import OutOfStepError, Recording
from contracts import frames
from contracts.frames import NumberedEvent, ToClient, Welcome

Listener = Callable[[NumberedEvent | ToClient, float], None]

CONNECT_WITHIN_S = 15.0
MAX_FRAME_BYTES = 4 * 1024 * 1024


class TurnedAwayError(Exception):
    """The gateway closed the socket with a code that means: stay away."""


def open_socket(url: str) -> connect:
    """A connection that speaks `baton.v1`, to be used with `async with`."""
    return connect(
        url,
        subprotocols=[frames.PROTOCOL],  # type: ignore[list-item]  # a NewType of str there
        open_timeout=CONNECT_WITHIN_S,
        close_timeout=2.0,
        max_size=MAX_FRAME_BYTES,
        proxy=None if is_loopback(url) else True,
    )


async def join(socket: ClientConnection, token: str, recording: Recording) -> None:
    """The first frame: who we are, and what we have already."""
    await socket.send(frames.encode(frames.Join(token=token, seq=recording.seq, epoch=recording.epoch)).decode())


class GameSocket:
    """Keeps one client connected, and its recording complete. Tells `listener` every frame, with its instant."""

    def __init__(self, url: str, token: str, recording: Recording, listener: Listener) -> None:
        self._url = url
        self._token = token
        self._recording = recording
        self._listener = listener
        self._chance = random.Random()
        self._attempt = 0
        self.connected = False
        self._socket: ClientConnection | None = None
        self.breaks: list[str] = []
        """Why each connection but the present one ended, or was not made."""

    async def run(self) -> None:
        """Listen until cancelled. Raises TurnedAwayError where coming back would be wrong."""
        while True:
            self.breaks.append(await self._connection())
            await asyncio.sleep(full_jitter(self._attempt, self._chance))
            self._attempt += 1

    async def refresh(self, token: str) -> None:
        """Go on with a newer token: on the present connection, if there is one, and on all later ones."""
        self._token = token
        if self.connected and self._socket is not None:
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(frames.encode(frames.Refresh(token=token)).decode())

    async def _connection(self) -> str:
        """One connection from its begin to its end. Returns why it ended."""
        try:
            async with open_socket(self._url) as socket:
                self._socket = socket
                await join(socket, self._token, self._recording)
                while True:
                    self._take(await socket.recv())
        except ConnectionClosed as closed:
            code = NO_CLOSE_FRAME if closed.rcvd is None else closed.rcvd.code
            reason = "" if closed.rcvd is None else closed.rcvd.reason
            if not may_come_back(code):
                raise TurnedAwayError(f"the gateway closed with {code} {reason}") from closed
            return f"{code} {reason}".strip()
        except OutOfStepError:
            return "out of step"
        except InvalidURI as error:
            raise TurnedAwayError(str(error)) from error
        except (OSError, TimeoutError, InvalidHandshake) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            self.connected = False

    def _take(self, frame: str | bytes) -> None:
        now = time.perf_counter()
        message = self._recording.take(frame if isinstance(frame, str) else frame.decode(), now)
        if isinstance(message, Welcome):
            self.connected = True
            self._attempt = 0
        if message is not None:
            self._listener(message, now)


async def fresh_snapshot(url: str, token: str, within_s: float = CONNECT_WITHIN_S) -> Recording:
    """What somebody is told who comes anew: a recording that ends with a snapshot.

    Raises TurnedAwayError or TimeoutError where there is none within that time.
    """
    recording = Recording()
    async with asyncio.timeout(within_s):
        while recording.state is None:
            try:
                async with open_socket(url) as socket:
                    await join(socket, token, recording)
                    while recording.state is None:
                        frame = await socket.recv()
                        recording.take(frame if isinstance(frame, str) else frame.decode(), time.perf_counter())
            except ConnectionClosed as closed:
                if closed.rcvd is not None and not may_come_back(closed.rcvd.code):
                    raise TurnedAwayError(f"the gateway closed with {closed.rcvd.code}") from closed
                await asyncio.sleep(0.2)
            except (OSError, InvalidHandshake):
                await asyncio.sleep(0.2)
    return recording
