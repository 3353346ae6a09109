"""⑧ One pub/sub connection to one Valkey server, read where the bytes arrive: hiredis in an asyncio protocol.

redis-py makes the connection (addresses, TLS, passwords); then its transport is ours. Its own reader takes twice the
time for a message, and a room's message is all that a gateway does.
"""

import asyncio
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import hiredis
import structlog

log = structlog.get_logger()

Handler = Callable[[bytes], None]
NewConnection = Callable[[], Any]  # redis-py's connections are untyped

CHANNELS_A_COMMAND: Final = 512
GATHER_S: Final = 0.000_35
"""From one reading to the next where messages follow closely: the longest that one of them waits for others."""
CLOSELY_S: Final = 0.000_2
"""Where the loop has had to wait longer than that for a message, too few would come in that time."""
SLACK_S: Final = 0.000_06
"""By so much Linux prolongs a sleep."""
READINGS_A_TURN: Final = 4
"""What else the loop has to do waits for so many readings at most."""
READ_BYTES: Final = 65_536


class NotListeningError(Exception):
    """What is said on the channel cannot be heard at the moment."""


class PubSub(asyncio.Protocol):
    """The channels in `wanted`, heard from one server.

    `run` is to be kept running. Messages go to `handlers`. A subscription says nothing when its server is gone without
    a goodbye, so somebody must publish to `probe_channel` again and again; `run` raises when it does not hear that for
    `deaf_after_s`. `on_heard` is called for each channel from which on nothing is missed (the probe's is confirmed
    last, after all that were wanted at the start), `on_taken_away` when the server has ended a subscription by itself
    or refused it: then somebody else has the channel. What has arrived together is handled between `before_reading` and
    `after_reading`.
    """

    def __init__(
        self,
        new_connection: NewConnection,
        handlers: Mapping[bytes, Handler],
        probe_channel: bytes,
        *,
        on_heard: Callable[[bytes], None],
        on_probe: Callable[[], None],
        on_taken_away: Callable[[], None],
        before_reading: Callable[[], None],
        after_reading: Callable[[], None],
        deaf_after_s: float,
        sharded: bool,
    ) -> None:
        self._new_connection = new_connection
        self._handlers = handlers
        self._on_heard = on_heard
        self._on_probe = on_probe
        self._on_taken_away = on_taken_away
        self._before_reading = before_reading
        self._after_reading = after_reading
        self._deaf_after_s = deaf_after_s
        prefix = b"s" if sharded else b""
        self._message, self._subscribed, self._unsubscribed = (
            prefix + b"message",
            prefix + b"subscribe",
            b"sunsubscribe",
        )
        self._subscribe, self._unsubscribe = self._subscribed.upper(), (prefix + b"unsubscribe").upper()
        # In a cluster, all channels of a command must be of one slot.
        self._channels_a_command = 1 if sharded else CHANNELS_A_COMMAND
        self._reader: Any = None
        self._transport: asyncio.Transport | None = None
        self._descriptor: int | None = None
        self._ended: asyncio.Future[None] | None = None
        self._deadline: asyncio.Timeout | None = None
        self._ready_at = -math.inf
        self.probe_channel = probe_channel
        self.probed_at = -math.inf
        self.wanted: set[bytes] = set()
        self.heard: set[bytes] = set()

    async def run(self) -> None:
        """Listen until the connection fails, or has gone silent; always raises."""
        connection = self._new_connection()
        self._reader = hiredis.Reader()
        self._ended = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._deaf_after_s) as self._deadline:
                await connection.connect()
                # Nothing was asked for yet, so there is nothing that redis-py could have read and kept.
                self._transport = connection._writer.transport
                self._transport.set_protocol(self)
                if self._transport.get_extra_info("sslcontext") is None:
                    self._descriptor = self._transport.get_extra_info("socket").fileno()
                self._send(self._subscribe, [*self.wanted, self.probe_channel])
                await self._ended
        except TimeoutError as error:
            raise NotListeningError(f"no probe was heard for {self._deaf_after_s:g} s") from error
        finally:
            if self._transport is not None:
                # Closed, it would wait for a dead server to take what is written, and tell its end to a later run.
                self._transport.abort()
            self._deadline = self._transport = self._descriptor = None
            self.heard.clear()
            await connection.disconnect(nowait=True)

    def subscribe(self, channels: Iterable[bytes]) -> None:
        """Ask for channels, now or as soon as there is a connection."""
        channels = list(channels)
        self.wanted.update(channels)
        self._send(self._subscribe, channels)

    def unsubscribe(self, channels: Iterable[bytes]) -> None:
        """Stop hearing channels, from the call on."""
        channels = list(channels)
        self.wanted.difference_update(channels)
        self.heard.difference_update(channels)
        self._send(self._unsubscribe, channels)

    def probe_with(self, channel: bytes) -> None:
        """Be probed on another channel from now on."""
        self._send(self._unsubscribe, [self.probe_channel])
        self.probe_channel = channel
        self._send(self._subscribe, [channel])

    def data_received(self, data: bytes) -> None:
        """Handle what has arrived. What follows closely is read at once as well, a few times: the way through the loop
        costs as much as two deliveries.
        """
        readings = 1
        while True:
            began = time.monotonic()
            self._handle(data)
            if not self._has_gathered(began) or readings == READINGS_A_TURN or not (data := self._more()):
                return
            readings += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(NotListeningError(f"the connection was lost: {exc or 'closed by the server'}"))

    def _handle(self, data: bytes) -> None:
        gets, get_handler, message = self._reader.gets, self._handlers.get, self._message
        self._reader.feed(data)
        self._before_reading()
        try:
            while (reply := gets()) is not False:
                if type(reply) is list and reply[0] == message and (handler := get_handler(reply[1])):
                    try:
                        handler(reply[2])
                    except Exception:
                        # One room's trouble must not make the others deaf; its position check finds what it missed.
                        log.exception("message_not_handled", channel=reply[1].decode())
                else:
                    self._take(reply)
        except hiredis.ProtocolError as error:
            self._end(NotListeningError(f"the server sent what is no reply: {error}"))
        finally:
            self._after_reading()

    def _has_gathered(self, began: float) -> bool:
        """Where readings follow each other closely, let the next messages come together: a wake-up costs as much as two
        deliveries, whether for one message or for ten. Where they do not, nobody waits. Returns whether it did wait.

        The loop itself sleeps, for less than its timers could: it has just done all that there was to do, and what
        comes meanwhile it finds together.
        """
        now = time.monotonic()
        if began - self._ready_at < CLOSELY_S and (left_s := began + GATHER_S - SLACK_S - now) > 0:
            time.sleep(left_s)
            self._ready_at = time.monotonic()
            return True
        self._ready_at = now
        return False

    def _more(self) -> bytes:
        """What has arrived meanwhile. Nothing also where the connection has ended: its transport finds that out."""
        if self._descriptor is None:
            return b""
        try:
            return os.read(self._descriptor, READ_BYTES)
        except OSError:
            return b""

    def _end(self, error: NotListeningError) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(error)

    def _send(self, command: bytes, channels: list[bytes]) -> None:
        if self._transport is None or not channels:
            return
        size = self._channels_a_command
        starts = range(0, len(channels), size)
        pack: Any = hiredis.pack_command  # its stub forbids what its documentation shows
        self._transport.write(b"".join([pack((command, *channels[start : start + size])) for start in starts]))

    def _take(self, reply: Any) -> None:
        if isinstance(reply, Exception):
            log.warning("subscription_refused", error=str(reply))
            self._on_taken_away()
            return
        if not isinstance(reply, list) or len(reply) != 3:
            self._end(NotListeningError(f"the server sent what nobody asked for: {reply!r:.100}"))
            return
        kind, channel, _ = reply
        if kind == self._message:
            if channel == self.probe_channel:
                self._hear_probe()
        elif kind == self._subscribed:
            if channel == self.probe_channel or channel in self.wanted:
                self.heard.add(channel)
                self._on_heard(channel)
        elif kind == self._unsubscribed and (channel == self.probe_channel or channel in self.wanted):
            self.heard.discard(channel)
            self._on_taken_away()

    def _hear_probe(self) -> None:
        self.probed_at = asyncio.get_running_loop().time()
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(self.probed_at + self._deaf_after_s)
        self._on_probe()
