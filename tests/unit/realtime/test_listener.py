import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack

import pytest

from services.kit.supervise import Supervisor
from services.realtime import listener as module
from services.realtime.listener import Listener
from services.realtime.pubsub import NewConnection, NotListeningError
from tests.unit.realtime.fake_valkey import FakeValkey
from tests.unit.realtime.fakes import counted


class FakeTopology:
    """Servers that share the channels by what a test says, else by their bytes."""

    sharded = True
    refresh_every_s: float | None = None

    def __init__(self, *servers: FakeValkey) -> None:
        self.there = {f"server {number}": server for number, server in enumerate(servers)}
        self.moved: dict[bytes, str] = {}
        self.away = False
        self.refreshed = 0

    async def refresh(self) -> None:
        self.refreshed += 1
        if self.away:
            raise ConnectionError("nobody answers")

    def servers(self) -> Mapping[str, NewConnection]:
        return {name: server.new_connection for name, server in self.there.items()}

    def owner(self, channel: bytes) -> str:
        if channel in self.moved:
            return self.moved[channel]
        names = list(self.there)
        return names[sum(channel) % len(names)] if names else ""

    async def publish(self, channel: bytes) -> object:
        server = self.there[self.owner(channel)]
        if not server.peers:
            raise ConnectionError("not there yet")
        server.publish(channel, b"", kind=b"smessage")
        return 1


class Heard:
    """What a handler was given."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.told = asyncio.Event()

    def __call__(self, message: bytes) -> None:
        self.messages.append(message)
        self.told.set()

    async def reach(self, count: int) -> list[bytes]:
        await until(lambda: len(self.messages) >= count)
        return self.messages


class Stage:
    """A listener with its servers, running. `breaks` counts how often it said that it hears again."""

    def __init__(self, servers: list[FakeValkey]) -> None:
        self.servers = servers
        self.topology = FakeTopology(*servers)
        self.breaks = 0
        self.listener = Listener(self.topology, self._count, probe_every_s=0.02, deaf_after_s=5.0)

    def _count(self) -> None:
        self.breaks += 1

    async def subscribe(self, channel: str) -> Heard:
        heard = Heard()
        await self.listener.subscribe(channel, heard)
        return heard

    def say(self, channel: str, message: bytes) -> None:
        server = self.topology.there[self.topology.owner(channel.encode())]
        server.publish(channel.encode(), message, kind=b"smessage")

    async def is_deaf(self) -> bool:
        try:
            await self.listener.check()
        except NotListeningError:
            return True
        return False


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.005)


@pytest.fixture
async def servers() -> AsyncIterator[list[FakeValkey]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(FakeValkey().running()) for _ in range(2)]


@pytest.fixture
async def stage(servers: list[FakeValkey]) -> AsyncIterator[Stage]:
    stage = Stage(servers)
    async with Supervisor(first_delay_s=0.02) as supervisor:
        supervisor.start("listener", stage.listener.run)
        supervisor.start("probe", stage.listener.probe)
        yield stage


def _subscriptions(server: FakeValkey, channel: bytes) -> int:
    return sum(command == [b"SSUBSCRIBE", channel] for command in server.commands)


async def test_channels_are_heard_from_the_server_that_has_them(stage: Stage) -> None:
    stage.topology.moved = {b"a": "server 0", b"b": "server 1"}
    a, b = await stage.subscribe("a"), await stage.subscribe("b")
    stage.say("a", b"1")
    stage.say("b", b"2")
    assert (await a.reach(1), await b.reach(1)) == ([b"1"], [b"2"])
    assert [_subscriptions(server, b"a") for server in stage.servers] == [1, 0]
    assert [_subscriptions(server, b"b") for server in stage.servers] == [0, 1]


async def test_what_was_asked_for_before_there_was_a_connection_is_heard_too(servers: list[FakeValkey]) -> None:
    stage = Stage(servers)
    subscribing = asyncio.create_task(stage.subscribe("a"))
    await asyncio.sleep(0)
    async with Supervisor(first_delay_s=0.02) as supervisor:
        supervisor.start("listener", stage.listener.run)
        heard = await subscribing
        stage.say("a", b"1")
        await heard.reach(1)


async def test_all_who_come_at_once_wait_for_the_one_subscription(stage: Stage) -> None:
    await until(lambda: all(server.peers for server in stage.servers))
    for server in stage.servers:
        server.confirming = False
    heard = Heard()
    coming = [asyncio.create_task(stage.listener.subscribe("a", heard)) for _ in range(20)]
    owner = stage.topology.there[stage.topology.owner(b"a")]
    await owner.hear(b"SSUBSCRIBE", b"a")
    assert not any(task.done() for task in coming)
    owner.peers[-1].say(b"ssubscribe", b"a", 1)
    await asyncio.gather(*coming)
    assert _subscriptions(owner, b"a") == 1
    await stage.listener.subscribe("a", heard)
    assert _subscriptions(owner, b"a") == 1


async def test_a_subscription_that_nobody_confirms_is_an_error_and_may_be_tried_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SUBSCRIBE_TIMEOUT_S", 0.1)
    await until(lambda: all(server.peers for server in stage.servers))
    owner = stage.topology.there[stage.topology.owner(b"a")]
    owner.confirming = False
    with pytest.raises(NotListeningError, match="a was not subscribed in time"):
        await stage.subscribe("a")
    again = asyncio.create_task(stage.subscribe("a"))
    await asyncio.sleep(0)
    owner.peers[-1].say(b"ssubscribe", b"a", 1)
    heard = await again
    stage.say("a", b"1")
    await heard.reach(1)


async def test_what_is_not_wanted_any_more_is_unsubscribed_and_can_be_wanted_again(stage: Stage) -> None:
    before = await stage.subscribe("a")
    await stage.listener.unsubscribe(["a", "never"])
    owner = stage.topology.there[stage.topology.owner(b"a")]
    await owner.hear(b"SUNSUBSCRIBE", b"a")
    after = await stage.subscribe("a")
    stage.say("a", b"1")
    assert await after.reach(1) == [b"1"]
    assert (before.messages, _subscriptions(owner, b"a")) == ([], 2)


async def test_a_channel_that_moves_is_heard_from_its_new_server_at_once(stage: Stage) -> None:
    stage.topology.moved[b"a"] = "server 0"
    heard = await stage.subscribe("a")
    breaks = stage.breaks
    stage.topology.moved[b"a"] = "server 1"
    stage.servers[0].peers[-1].say(b"sunsubscribe", b"a", 0)
    await stage.servers[1].hear(b"SSUBSCRIBE", b"a")
    await until(lambda: stage.breaks > breaks)
    stage.say("a", b"1")
    assert await heard.reach(1) == [b"1"]
    await stage.servers[0].hear(b"SUNSUBSCRIBE", b"a")


async def test_a_channel_that_nobody_has_for_a_while_is_heard_as_soon_as_somebody_has_it(stage: Stage) -> None:
    stage.topology.moved[b"a"] = "server 0"
    heard = await stage.subscribe("a")
    stage.topology.moved[b"a"] = ""
    stage.servers[0].peers[-1].say(b"sunsubscribe", b"a", 0)
    refreshed = stage.topology.refreshed
    await until(lambda: stage.topology.refreshed > refreshed)
    stage.topology.moved[b"a"] = "server 1"
    stage.listener._refresh_now.set()
    await stage.servers[1].hear(b"SSUBSCRIBE", b"a")
    stage.say("a", b"1")
    await heard.reach(1)


async def test_a_server_that_is_gone_from_the_topology_is_left(stage: Stage) -> None:
    stage.topology.moved = {b"a": "server 0"}
    heard = await stage.subscribe("a")
    await until(lambda: stage.servers[1].peers)
    del stage.topology.there["server 0"]
    stage.topology.moved = {}
    stage.listener._refresh_now.set()
    await stage.servers[1].hear(b"SSUBSCRIBE", b"a")
    stage.say("a", b"1")
    await heard.reach(1)
    peer = stage.servers[0].peers[-1].transport
    assert peer is not None
    await until(peer.is_closing)


async def test_a_new_server_is_connected_to_and_probed(stage: Stage) -> None:
    async with FakeValkey().running() as third:
        await until(lambda: all(server.peers for server in stage.servers))
        stage.topology.there["server 2"] = third
        stage.topology.moved[b"a"] = "server 2"
        stage.listener._refresh_now.set()
        heard = await stage.subscribe("a")
        stage.say("a", b"1")
        await heard.reach(1)
        del stage.topology.there["server 2"]
        stage.listener._refresh_now.set()
        assert third.peers[-1].transport is not None
        await until(third.peers[-1].transport.is_closing)


async def test_a_probe_channel_that_moved_away_is_replaced_by_one_that_is_there(stage: Stage) -> None:
    await until(lambda: len(stage.listener._nodes) == 2)
    node = stage.listener._nodes["server 0"]
    await until(lambda: node.probe_channel in node.heard)
    before = node.probe_channel
    stage.topology.moved[before] = "server 1"
    stage.listener._refresh_now.set()
    await until(lambda: node.probe_channel != before)
    assert stage.topology.owner(node.probe_channel) == "server 0"
    probed_at = node.probed_at
    await until(lambda: node.probed_at > probed_at)


async def test_a_connection_that_breaks_is_replaced_and_said_to_have_missed_something(stage: Stage) -> None:
    heard = await stage.subscribe("a")
    owner = stage.topology.there[stage.topology.owner(b"a")]
    breaks = stage.breaks
    owner.hang_up()
    await until(lambda: stage.breaks > breaks and _subscriptions(owner, b"a") == 2)
    stage.say("a", b"1")
    await heard.reach(1)


async def test_while_nobody_says_who_has_what_the_old_servers_are_listened_to(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    heard = await stage.subscribe("a")
    stage.topology.away = True
    stage.listener._refresh_now.set()
    refreshed = stage.topology.refreshed
    await until(lambda: stage.topology.refreshed > refreshed)
    stage.say("a", b"1")
    await heard.reach(1)
    assert "topology_not_refreshed" in capsys.readouterr().out


async def test_it_is_deaf_until_every_server_was_heard_and_when_one_falls_silent(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNREADY_AFTER_S", 0.3)
    assert await stage.is_deaf()
    probes = counted("baton_probe_seconds_count")
    async with asyncio.timeout(10):
        while await stage.is_deaf():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.005)
    assert counted("baton_probe_seconds_count") > probes
    mute = stage.servers[1]
    mute.publish = lambda *_, **__: None  # type: ignore[method-assign]  # what is said there is heard nowhere
    async with asyncio.timeout(10):
        while not await stage.is_deaf():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
