"""⑧ Hearing of rooms: one pub/sub connection a process, that is never silently deaf.

A subscription says nothing when its server is gone without a goodbye. So the listener publishes a probe to a channel of
its own every few seconds, and replaces the connection when it does not hear it.
"""

import asyncio
import math
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

log = structlog.get_logger()

PROBE_EVERY_S = 2.0
DEAF_AFTER_S = 6.0
"""After so long without a probe the connection is replaced."""
UNREADY_AFTER_S = 10.0
SUBSCRIBE_TIMEOUT_S = 2.0
CHANNELS_A_COMMAND = 512
MESSAGES_A_TURN = 100
"""After so many messages in a row everybody else in the process gets a turn."""

Handler = Callable[[bytes], None]


class NotListeningError(Exception):
    """What is said on the channel cannot be heard at the moment."""


class Subscriptions(Protocol):
    """Channels heard by this process. Messages may be lost, and only that: whoever handles them looks for gaps."""

    async def subscribe(self, channel: str, handler: Handler) -> None:
        """From the return on, `handler` is given every message of the channel. Raises NotListeningError."""

    async def unsubscribe(self, channels: Sequence[str]) -> None:
        """Stop hearing the channels, from the call on."""

    async def check(self) -> None:
        """Raise NotListeningError unless a message went all the way through the server within the last seconds."""


def _new_connection(url: str) -> Any:  # redis-py's connections are untyped
    """A connection that never reconnects by itself: what was said meanwhile would be lost without anybody knowing."""
    pool: Any = ConnectionPool.from_url(
        url, protocol=2, socket_connect_timeout=2, socket_timeout=5, retry=Retry(NoBackoff(), 0)
    )
    return pool.make_connection()


class Listener:
    """Plain pub/sub on one server. `run` and `probe` are to be kept running; `on_connected` is called when all
    subscriptions are heard again after a break, in which messages were lost.
    """

    def __init__(
        self,
        redis: Redis,
        url: str,
        on_connected: Callable[[], None],
        *,
        probe_every_s: float = PROBE_EVERY_S,
        deaf_after_s: float = DEAF_AFTER_S,
    ) -> None:
        self._redis = redis
        self._url = url
        self._on_connected = on_connected
        self._probe_every_s = probe_every_s
        self._deaf_after_s = deaf_after_s
        self._probe_channel = f"baton:gateway:{secrets.token_hex(8)}:probe".encode()
        self._handlers: dict[bytes, Handler] = {}
        self._heard: set[bytes] = set()
        self._waiting: dict[bytes, asyncio.Future[None]] = {}
        self._connection: Any = None
        self._sending = asyncio.Lock()
        self._deadline: asyncio.Timeout | None = None
        self._probed_at = -math.inf

    async def run(self) -> None:
        """Listen until the connection fails, or has gone silent; always raises."""
        connection = _new_connection(self._url)
        try:
            async with asyncio.timeout(self._deaf_after_s) as self._deadline:
                await connection.connect()
                self._connection = connection
                # The probe's channel last: when it is confirmed, all are.
                await self._send("SUBSCRIBE", [*self._handlers, self._probe_channel])
                while True:
                    for _ in range(MESSAGES_A_TURN):
                        self._take(await connection.read_response(timeout=math.inf))
                    await asyncio.sleep(0)
        except TimeoutError as error:
            raise NotListeningError(f"no probe was heard for {self._deaf_after_s:g} s") from error
        finally:
            self._deadline = self._connection = None
            self._heard.clear()
            await connection.disconnect(nowait=True)

    async def probe(self) -> None:
        """Publish probes for ever. Raises when Valkey does not take one."""
        while True:
            await self._redis.publish(self._probe_channel, b"")
            await asyncio.sleep(self._probe_every_s)

    async def subscribe(self, channel: str, handler: Handler) -> None:
        name = channel.encode()
        self._handlers[name] = handler
        if name in self._heard:
            return
        waiting = self._waiting.get(name)
        if waiting is None:
            waiting = self._waiting[name] = asyncio.get_running_loop().create_future()
            await self._send("SUBSCRIBE", [name])
        try:
            async with asyncio.timeout(SUBSCRIBE_TIMEOUT_S):
                await asyncio.shield(waiting)
        except TimeoutError as error:
            raise NotListeningError(f"{channel} was not subscribed in time") from error

    async def unsubscribe(self, channels: Sequence[str]) -> None:
        # All that a later `subscribe` looks at is changed before the first wait; commands are sent in order.
        names = [channel.encode() for channel in channels]
        for name in names:
            self._handlers.pop(name, None)
            self._heard.discard(name)
            if waiting := self._waiting.pop(name, None):
                waiting.cancel()
        await self._send("UNSUBSCRIBE", names)

    async def check(self) -> None:
        silent_s = asyncio.get_running_loop().time() - self._probed_at
        if silent_s > UNREADY_AFTER_S:
            raise NotListeningError("no probe has been heard" if math.isinf(silent_s) else f"deaf for {silent_s:.0f} s")

    async def _send(self, command: str, names: Sequence[bytes]) -> None:
        """Send if there is a connection; if not, or if it breaks, `run` subscribes to everything on the next one."""
        async with self._sending:
            for start in range(0, len(names), CHANNELS_A_COMMAND):
                if (connection := self._connection) is None:
                    return
                try:
                    await connection.send_command(command, *names[start : start + CHANNELS_A_COMMAND])
                except (RedisError, OSError) as error:
                    log.warning("listener_send_failed", error=str(error))
                    return

    def _take(self, reply: Any) -> None:
        kind, channel, payload = reply
        if kind == b"message":
            if channel == self._probe_channel:
                self._hear_probe()
            elif handler := self._handlers.get(channel):
                self._hand_over(handler, channel, payload)
        elif kind == b"subscribe":
            if channel == self._probe_channel:
                self._on_connected()
            elif channel in self._handlers:
                self._heard.add(channel)
                if waiting := self._waiting.pop(channel, None):
                    waiting.set_result(None)

    def _hear_probe(self) -> None:
        self._probed_at = asyncio.get_running_loop().time()
        if self._deadline is not None:
            self._deadline.reschedule(self._probed_at + self._deaf_after_s)

    def _hand_over(self, handler: Handler, channel: bytes, payload: bytes) -> None:
        try:
            handler(payload)
        except Exception:
            # One room's trouble must not make the others deaf; what this one has missed, its position check finds.
            log.exception("message_not_handled", channel=channel.decode())
