"""What players say to their room, on its way into Valkey: many frames a round trip, a bounded number at any time.

It is ephemeral: it is dropped where Valkey does not take it, for what comes late is better not said at all.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from contracts.ids import SessionId
from services.kit import metrics

MOST_WAITING: Final = 4096
FRAMES_A_CALL: Final = 512


class Channels(Protocol):
    """Where frames are published; see services/kit/rooms.py."""

    async def say(self, messages: Sequence[tuple[SessionId, bytes]]) -> None:
        """Publish frames, many in one round trip. Raises RedisError or OSError when Valkey does not take it."""


class Publisher:
    """`run` is to be kept running. While a call is under way, what comes is collected for the next."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels
        self._waiting: list[tuple[SessionId, bytes]] = []
        self._wake = asyncio.Event()

    def publish(self, session_id: SessionId, frame: bytes) -> None:
        """Have the room told, or drop the frame where too many wait. Never waits."""
        if len(self._waiting) >= MOST_WAITING:
            metrics.unpublished.inc()
            return
        self._waiting.append((session_id, frame))
        self._wake.set()

    async def run(self) -> None:
        """Publish for ever. Raises when Valkey does not answer; what waited until then is dropped."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            frames, self._waiting = self._waiting, []
            published = 0
            try:
                for start in range(0, len(frames), FRAMES_A_CALL):
                    batch = frames[start : start + FRAMES_A_CALL]
                    await self._channels.say(batch)
                    published += len(batch)
            finally:
                if published < len(frames):
                    metrics.unpublished.inc(len(frames) - published + len(self._waiting))
                    self._waiting.clear()
