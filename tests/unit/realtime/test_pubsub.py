import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import ParamSpec

import pytest
import redis.exceptions

from services.realtime.pubsub import CHANNELS_A_COMMAND, READINGS_A_TURN, Handler, NotListeningError, PubSub
from tests.unit.realtime.fake_valkey import FakeValkey, bulk

PROBE = b"probe"
P = ParamSpec("P")


class Ear:
    """What a subscriber was told."""

    def __init__(self, server: FakeValkey, *, deaf_after_s: float = 10.0, sharded: bool = False) -> None:
        self.handlers: dict[bytes, Handler] = {}
        self.heard: list[bytes] = []
        self.probes = 0
        self.taken_away = 0
        self.readings: list[str] = []
        self.told = asyncio.Event()
        self.pubsub = PubSub(
            server.new_connection,
            self.handlers,
            PROBE,
            on_heard=self._tell(self.heard.append),
            on_probe=self._tell(self._count_probe),
            on_taken_away=self._tell(self._count_taken_away),
            before_reading=lambda: self.readings.append("began"),
            after_reading=lambda: self.readings.append("ended"),
            deaf_after_s=deaf_after_s,
            sharded=sharded,
        )

    def handle(self, channel: bytes) -> list[bytes]:
        """Keep what is said on the channel."""
        said: list[bytes] = []
        self.handlers[channel] = self._tell(said.append)
        return said

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self.told.clear()
                await self.told.wait()

    async def probe(self, server: FakeValkey) -> None:
        """Publish a probe, and wait until it was heard."""
        before = self.probes
        server.publish(PROBE, b"")
        await self.until(lambda: self.probes > before)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(self.pubsub.run())
        task.add_done_callback(lambda _: self.told.set())
        await self.until(lambda: PROBE in self.pubsub.heard or task.done())
        yield task
        task.cancel()
        await asyncio.wait({task})

    def _count_probe(self) -> None:
        self.probes += 1

    def _count_taken_away(self) -> None:
        self.taken_away += 1

    def _tell(self, call: Callable[P, object]) -> Callable[P, None]:
        def told(*args: P.args, **kwargs: P.kwargs) -> None:
            call(*args, **kwargs)
            self.told.set()

        return told


@pytest.fixture
async def server() -> AsyncIterator[FakeValkey]:
    async with FakeValkey().running() as server:
        yield server


async def test_all_that_is_wanted_is_asked_for_and_the_probe_last(server: FakeValkey) -> None:
    ear = Ear(server)
    ear.pubsub.subscribe([b"a", b"b"])
    async with ear.listening():
        assert (sorted(ear.heard[:2]), ear.heard[2]) == ([b"a", b"b"], PROBE)
        assert ear.pubsub.heard == {b"a", b"b", PROBE}
        ear.pubsub.subscribe([b"c"])
        await ear.until(lambda: b"c" in ear.pubsub.heard)
        assert server.commands[-1] == [b"SUBSCRIBE", b"c"]


async def test_each_message_goes_to_its_handler_however_the_bytes_come(server: FakeValkey) -> None:
    ear = Ear(server)
    a, b = ear.handle(b"a"), ear.handle(b"b")
    ear.pubsub.subscribe([b"a", b"b"])
    async with ear.listening():
        server.publish(b"a", b"1 one")
        server.publish(b"nobody's", b"what")
        server.publish(b"b", b"2 \r\n$3\r\n\x00")
        for byte in bulk(b"message", b"a", b"3 three") + bulk(b"message", b"b", b""):
            server.peers[-1].write(bytes([byte]))
            await asyncio.sleep(0)
        await ear.until(lambda: len(a) == len(b) == 2)
        assert (a, b) == ([b"1 one", b"3 three"], [b"2 \r\n$3\r\n\x00", b""])


async def test_one_handler_that_fails_makes_nobody_deaf(server: FakeValkey, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_: bytes) -> None:
        raise ValueError("cannot be handled")

    ear = Ear(server)
    ear.handlers[b"bad"] = fail
    good = ear.handle(b"good")
    async with ear.listening():
        server.publish(b"bad", b"1")
        server.publish(b"good", b"2")
        await ear.until(lambda: good)
    assert "message_not_handled" in capsys.readouterr().out


async def test_what_has_arrived_together_is_handled_in_one_reading(server: FakeValkey) -> None:
    ear = Ear(server)
    ear.handlers[b"a"] = ear._tell(lambda _: ear.readings.append("a"))
    ear.pubsub.subscribe([b"a"])
    async with ear.listening():
        ear.readings.clear()
        server.peers[-1].write(bulk(b"message", b"a", b"1") + bulk(b"message", b"a", b"2"))
        await ear.until(lambda: "ended" in ear.readings)
    assert ear.readings == ["began", "a", "a", "ended"]


async def test_what_follows_closely_is_read_in_the_same_turn_of_the_loop_but_every_few_readings_others_have_theirs(
    server: FakeValkey,
) -> None:
    ear = Ear(server)
    loop = asyncio.get_running_loop()
    turns = 0
    heard: Counter[int] = Counter()

    def turn() -> None:
        nonlocal turns
        turns += 1
        loop.call_soon(turn)

    def hear(_: bytes) -> None:
        heard[turns] += 1
        if heard.total() < 300:
            speak()

    def speak() -> None:
        transport = server.peers[-1].transport
        assert transport is not None
        os.write(transport.get_extra_info("socket").fileno(), bulk(b"message", b"a", b"another follows at once"))

    ear.handlers[b"a"] = ear._tell(hear)
    ear.pubsub.subscribe([b"a"])
    async with ear.listening():
        loop.call_soon(turn)
        speak()
        await ear.until(lambda: heard.total() == 300)
    assert max(heard.values()) == READINGS_A_TURN


async def test_what_is_not_wanted_any_more_is_not_handled(server: FakeValkey) -> None:
    ear = Ear(server)
    a, b = ear.handle(b"a"), ear.handle(b"b")
    ear.pubsub.subscribe([b"a", b"b"])
    async with ear.listening():
        ear.pubsub.unsubscribe([b"a"])
        del ear.handlers[b"a"]
        assert ear.pubsub.heard == {b"b", PROBE}
        await server.hear(b"UNSUBSCRIBE", b"a")
        server.publish(b"a", b"late")
        server.publish(b"b", b"2")
        await ear.until(lambda: b)
    assert (a, ear.taken_away) == ([], 0)


async def test_a_confirmation_that_comes_after_the_end_of_a_subscription_counts_for_nothing(server: FakeValkey) -> None:
    ear = Ear(server)
    async with ear.listening():
        server.confirming = False
        ear.pubsub.subscribe([b"a"])
        ear.pubsub.unsubscribe([b"a"])
        server.peers[-1].say(b"subscribe", b"a", 2)
        ear.handle(b"b")
        server.publish(PROBE, b"")
        await ear.until(lambda: ear.probes)
        assert (ear.pubsub.heard, b"a" in ear.heard) == ({PROBE}, False)


async def test_a_connection_that_breaks_ends_the_run_and_the_next_asks_for_everything_again(server: FakeValkey) -> None:
    ear = Ear(server)
    a = ear.handle(b"a")
    ear.pubsub.subscribe([b"a"])
    async with ear.listening() as run:
        server.hang_up()
        with pytest.raises(NotListeningError, match="closed by the server"):
            await run
        assert ear.pubsub.heard == set()
        ear.pubsub.subscribe([b"b"])
        ear.pubsub.unsubscribe([b"nothing"])
    async with ear.listening():
        assert ear.pubsub.heard == {b"a", b"b", PROBE}
        server.publish(b"a", b"1")
        await ear.until(lambda: a)


async def test_nobody_there_is_an_error_at_once() -> None:
    async with FakeValkey().running() as gone:
        pass
    with pytest.raises(redis.exceptions.ConnectionError):
        await Ear(gone).pubsub.run()


async def test_without_a_probe_for_too_long_the_run_ends(server: FakeValkey) -> None:
    ear = Ear(server, deaf_after_s=0.5)
    a = ear.handle(b"a")
    ear.pubsub.subscribe([b"a"])
    async with ear.listening() as run:
        server.publish(b"a", b"this is no probe")
        with pytest.raises(NotListeningError, match=r"no probe was heard for 0\.5 s"):
            await run
    assert a == [b"this is no probe"]


async def test_each_probe_gives_it_time_again(server: FakeValkey) -> None:
    ear = Ear(server, deaf_after_s=1.0)
    loop = asyncio.get_running_loop()
    async with ear.listening() as run:
        started = loop.time()
        while loop.time() < started + 1.5:
            await ear.probe(server)
            await asyncio.sleep(0.02)
        assert not run.done()
        assert loop.time() - ear.pubsub.probed_at < 1.0


async def test_a_server_that_does_not_even_greet_is_given_up(server: FakeValkey) -> None:
    ear = Ear(server, deaf_after_s=0.5)
    server.confirming = False
    with pytest.raises(NotListeningError):
        await ear.pubsub.run()


@pytest.mark.parametrize(
    "garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n", b":7\r\n", b"*2\r\n$1\r\na\r\n$1\r\nb\r\n", b"$-1\r\n"]
)
async def test_what_is_no_reply_to_a_subscriber_ends_the_run(server: FakeValkey, garbage: bytes) -> None:
    ear = Ear(server)
    async with ear.listening() as run:
        server.peers[-1].write(garbage)
        with pytest.raises(NotListeningError, match="the server sent what"):
            await run


async def test_the_late_end_of_an_earlier_connection_does_not_end_the_present_one(server: FakeValkey) -> None:
    ear = Ear(server, deaf_after_s=0.5)
    # More than all buffers on the way hold, so that the dead connection still has something to write.
    wanted = [b"x" * 4000 + b"%d" % number for number in range(4000)]
    async with ear.listening() as first:
        dead = server.peers[-1].transport
        assert dead is not None
        dead.pause_reading()
        ear.pubsub.subscribe(wanted)
        with pytest.raises(NotListeningError):
            await first
    ear.pubsub.unsubscribe(wanted)
    ear.pubsub._deaf_after_s = 10.0
    async with ear.listening() as second:
        dead.abort()
        for _ in range(5):
            await ear.probe(server)
        assert not second.done()


async def test_a_subscription_that_the_server_ends_is_noticed(server: FakeValkey) -> None:
    ear = Ear(server, sharded=True)
    ear.pubsub.subscribe([b"a"])
    async with ear.listening():
        server.peers[-1].say(b"sunsubscribe", b"a", 1)
        await ear.until(lambda: ear.taken_away)
        assert ear.pubsub.heard == {PROBE}
        server.peers[-1].say(b"sunsubscribe", PROBE, 0)
        await ear.until(lambda: ear.taken_away == 2)
        assert (ear.pubsub.heard, ear.pubsub.wanted) == (set(), {b"a"})


async def test_a_subscription_that_is_refused_is_noticed(server: FakeValkey) -> None:
    ear = Ear(server, sharded=True)
    async with ear.listening():
        server.confirming = False
        ear.pubsub.subscribe([b"a"])
        server.peers[-1].write(b"-MOVED 1234 127.0.0.1:7001\r\n")
        await ear.until(lambda: ear.taken_away)
        assert b"a" not in ear.pubsub.heard


async def test_on_a_cluster_each_channel_has_a_command_of_its_own(server: FakeValkey) -> None:
    ear = Ear(server, sharded=True)
    a = ear.handle(b"a")
    ear.pubsub.subscribe([b"a", b"b"])
    async with ear.listening():
        assert sorted(server.commands) == [[b"SSUBSCRIBE", b"a"], [b"SSUBSCRIBE", b"b"], [b"SSUBSCRIBE", PROBE]]
        server.publish(b"a", b"1", kind=b"smessage")
        await ear.until(lambda: a)
        ear.pubsub.unsubscribe([b"a"])
        await server.hear(b"SUNSUBSCRIBE", b"a")


async def test_many_channels_are_asked_for_in_few_commands(server: FakeValkey) -> None:
    ear = Ear(server)
    channels = [b"%d" % number for number in range(2 * CHANNELS_A_COMMAND)]
    ear.pubsub.subscribe(channels)
    async with ear.listening():
        assert ear.pubsub.heard == {*channels, PROBE}
        assert len(server.commands) == 3


async def test_the_probe_may_move_to_another_channel(server: FakeValkey) -> None:
    ear = Ear(server)
    async with ear.listening():
        ear.pubsub.probe_with(b"another")
        await ear.until(lambda: b"another" in ear.pubsub.heard)
        server.publish(PROBE, b"")
        server.publish(b"another", b"")
        await ear.until(lambda: ear.probes)
        assert ear.probes == 1
        assert server.commands[-2:] == [[b"UNSUBSCRIBE", PROBE], [b"SUBSCRIBE", b"another"]]
