"""⑧ Hearing of rooms, from whichever Valkey servers have them, and never silently deaf.

One connection to each server. A probe is published through every server again and again, and a connection that does not
hear it is replaced. Where servers share the channels (a cluster), who has which is looked up every second, and at once
when a server ends a subscription: after a failover or a move of slots nothing else would be heard from it.
"""

import asyncio
import math
import secrets
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog
from redis.exceptions import RedisError

from services.kit import metrics
from services.kit.supervise import Supervisor, wait
from services.realtime.pubsub import Handler, NewConnection, NotListeningError, PubSub
from services.realtime.topology import Topology

log = structlog.get_logger()

PROBE_EVERY_S = 2.0
DEAF_AFTER_S = 6.0
"""After so long without a probe a connection is replaced."""
UNREADY_AFTER_S = 10.0
SUBSCRIBE_TIMEOUT_S = 2.0
REFRESH_PAUSE_S = 0.05
"""A server that refuses subscriptions over and over is not asked more often than that."""


class Subscriptions(Protocol):
    """Channels heard by this process. Messages may be lost, and only that: whoever handles them looks for gaps."""

    async def subscribe(self, channel: str, handler: Handler) -> None:
        """From the return on, `handler` is given every message of the channel. Raises NotListeningError."""

    async def unsubscribe(self, channels: Sequence[str]) -> None:
        """Stop hearing the channels, from the call on."""


class Listener:
    """All channels of this process. `run` and `probe` are to be kept running; `on_connected` is called when what was
    subscribed is heard again after a break, in which messages were lost. What has arrived together is handled between
    `before_reading` and `after_reading`.
    """

    def __init__(
        self,
        topology: Topology,
        on_connected: Callable[[], None],
        *,
        before_reading: Callable[[], None] = lambda: None,
        after_reading: Callable[[], None] = lambda: None,
        probe_every_s: float = PROBE_EVERY_S,
        deaf_after_s: float = DEAF_AFTER_S,
    ) -> None:
        self._topology = topology
        self._on_connected = on_connected
        self._before_reading = before_reading
        self._after_reading = after_reading
        self._probe_every_s = probe_every_s
        self._deaf_after_s = deaf_after_s
        self._handlers: dict[bytes, Handler] = {}
        self._waiting: dict[bytes, asyncio.Future[None]] = {}
        self._nodes: dict[str, PubSub] = {}
        self._refresh_now = asyncio.Event()
        self._probed_at: dict[bytes, float] = {}

    async def run(self) -> None:
        """Keep listening to all servers. Raises when it cannot be looked up which there are."""
        async with Supervisor(longest_delay_s=2.0) as supervisor:
            try:
                while True:
                    await self._refresh()
                    await self._place(supervisor)
                    await wait(self._refresh_now, self._topology.refresh_every_s)
                    await asyncio.sleep(REFRESH_PAUSE_S)
            finally:
                self._nodes.clear()

    async def probe(self) -> None:
        """Publish probes for ever. Raises when a server does not take one."""
        while True:
            now = asyncio.get_running_loop().time()
            channels = [node.probe_channel for node in self._nodes.values()]
            self._probed_at = dict.fromkeys(channels, now)
            await asyncio.gather(*map(self._topology.publish, channels))
            await asyncio.sleep(self._probe_every_s if channels else 0.05)

    async def subscribe(self, channel: str, handler: Handler) -> None:
        name = channel.encode()
        self._handlers[name] = handler
        node = self._nodes.get(self._topology.owner(name)) if self._nodes else None
        if node is not None and name in node.heard:
            return
        waiting = self._waiting.get(name)
        if waiting is None:
            waiting = self._waiting[name] = asyncio.get_running_loop().create_future()
            if node is not None:
                node.subscribe([name])
        try:
            async with asyncio.timeout(SUBSCRIBE_TIMEOUT_S):
                await asyncio.shield(waiting)
        except TimeoutError as error:
            raise NotListeningError(f"{channel} was not subscribed in time") from error

    async def unsubscribe(self, channels: Sequence[str]) -> None:
        names = [channel.encode() for channel in channels]
        for name in names:
            self._handlers.pop(name, None)
            if waiting := self._waiting.pop(name, None):
                waiting.cancel()
        for node in self._nodes.values():
            if had := node.wanted.intersection(names):
                node.unsubscribe(had)

    async def check(self) -> None:
        """Raise NotListeningError unless a message went through every server to here within the last seconds."""
        if not self._nodes:
            raise NotListeningError("no server is known")
        silent_s = asyncio.get_running_loop().time() - min(node.probed_at for node in self._nodes.values())
        if silent_s > UNREADY_AFTER_S:
            raise NotListeningError("no probe has been heard" if math.isinf(silent_s) else f"deaf for {silent_s:.0f} s")

    async def _refresh(self) -> None:
        try:
            await self._topology.refresh()
        except (RedisError, OSError) as error:
            if not self._nodes:
                raise
            log.warning("topology_not_refreshed", error=str(error))

    async def _place(self, supervisor: Supervisor) -> None:
        """Have one connection to each server, and each channel on the server that has it."""
        servers = self._topology.servers()
        for name in self._nodes.keys() - servers.keys():
            del self._nodes[name]
            await supervisor.drop(name)
        wanted: dict[str, set[bytes]] = {name: set() for name in servers}
        for channel in self._handlers:
            if (owner := self._topology.owner(channel)) in wanted:
                wanted[owner].add(channel)
        for name, new_connection in servers.items():
            node = self._nodes.get(name)
            if node is None:
                node = self._nodes[name] = self._new_node(name, new_connection)
                node.subscribe(wanted[name])
                supervisor.start(name, node.run)
            else:
                self._move(name, node, wanted[name])

    def _move(self, name: str, node: PubSub, wanted: set[bytes]) -> None:
        if gone := node.wanted - wanted:
            node.unsubscribe(gone)
        if missing := wanted - node.heard:
            node.subscribe(missing)
        if self._topology.owner(node.probe_channel) != name:
            node.probe_with(self._probe_channel(name))

    def _new_node(self, name: str, new_connection: NewConnection) -> PubSub:
        node = PubSub(
            new_connection,
            self._handlers,
            self._probe_channel(name),
            on_heard=lambda channel: self._hear(node, channel),
            on_probe=lambda: self._hear_probe(node),
            on_taken_away=self._refresh_now.set,
            before_reading=self._before_reading,
            after_reading=self._after_reading,
            deaf_after_s=self._deaf_after_s,
            sharded=self._topology.sharded,
        )
        return node

    def _probe_channel(self, name: str) -> bytes:
        """A channel of this process alone that this server has."""
        while True:
            channel = f"baton:gateway:{secrets.token_hex(8)}:probe".encode()
            if self._topology.owner(channel) == name:
                return channel

    def _hear(self, node: PubSub, channel: bytes) -> None:
        if waiting := self._waiting.pop(channel, None):
            waiting.set_result(None)
        elif channel in self._handlers or channel == node.probe_channel:
            self._on_connected()

    def _hear_probe(self, node: PubSub) -> None:
        if published_at := self._probed_at.get(node.probe_channel):
            metrics.probe_seconds.observe(node.probed_at - published_at)
