"""Valkey or points away or silent, and gateways that die."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import httpx
import pytest
from redis.asyncio import Redis

from baton.ports import any_free
from contracts.channels import ROOM_REQUESTS
from services.kit.redis_client import connect
from services.kit.supervise import Supervisor, stop
from services.realtime.listener import Listener
from services.realtime.pubsub import NewConnection, NotListeningError
from services.realtime.topology import OneServer
from tests.integration.realtime.clients import PATIENCE_S, closed, dial, join, token_for, until
from tests.integration.realtime.points import EPOCH, Points, Session
from tests.integration.realtime.processes import gateway


async def _close_of_a_join(url: str, session: Session) -> tuple[int, str]:
    async with dial(url, session.id) as socket:
        await socket.send(f'{{"type": "join", "token": "{token_for(session.team_id)}"}}')
        return await closed(socket)


async def test_without_valkey_the_gateway_is_unready_and_clients_are_told_to_come_back(
    new_gateway: Callable[..., str], http: httpx.AsyncClient
) -> None:
    url = new_gateway(redis_url=f"redis://127.0.0.1:{any_free()}/0")
    readiness = await http.get(f"{url}/readyz")
    assert readiness.status_code == 503
    assert readiness.json()["checks"]["listener"] == "NotListeningError: no probe has been heard"
    assert (await http.get(f"{url}/livez")).status_code == 200
    assert await _close_of_a_join(url, Session()) == (4001, "room_unavailable")


async def test_while_points_is_away_a_missing_room_is_no_unknown_session(gateway_url: str, redis: Redis) -> None:
    await redis.flushall()
    assert await _close_of_a_join(gateway_url, Session()) == (4001, "room_unavailable")


async def test_an_emptied_valkey_while_points_is_away_closes_nobody(gateway_url: str, redis: Redis) -> None:
    points = Points(redis)
    session = await points.open(events=3)
    async with join(gateway_url, session) as client:
        await redis.flushall()

        async def asked_twice() -> bool:
            return int(await redis.xlen(ROOM_REQUESTS)) >= 2

        await until(asked_twice)
        session.deal()
        async with points.answering():
            await client.reach(session.seq)
        assert client.state == session.state


async def test_a_session_that_is_gone_makes_its_clients_come_back_and_then_stay_away(
    gateway_url: str, points: Points, redis: Redis
) -> None:
    session = await points.open()
    async with join(gateway_url, session) as client:
        del points.sessions[session.id]
        await redis.flushall()
        assert await client.closed() == (4002, "sequence_lost")
    assert await _close_of_a_join(gateway_url, session) == (4504, "unknown_session")


async def test_many_who_wait_for_a_missing_room_are_served_by_one_request(gateway_url: str, redis: Redis) -> None:
    points = Points(redis)
    session = await points.open(events=3)
    await redis.flushall()
    async with AsyncExitStack() as stack, points.answering():
        clients = await asyncio.gather(*(stack.enter_async_context(join(gateway_url, session)) for _ in range(20)))
        assert {client.seq for client in clients} == {4}
        assert len(points.rebuilt) <= 2


async def _hears(listener: Listener) -> bool:
    try:
        await listener.check()
    except NotListeningError:
        return False
    return True


def _fail(_: bytes) -> None:
    raise ValueError("nobody else must suffer from this")


class Wire:
    """A port that passes everything on to a server, until it is cut without a word to either side."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._carrying: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self.port = 0

    async def cut(self) -> None:
        """From now on nothing passes, but for new connections."""
        await stop(self._carrying)
        self._carrying.clear()

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            await self.cut()
            for writer in self._writers:
                writer.close()
            await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, there_writer]
        self._carrying |= {
            asyncio.create_task(_carry(reader, there_writer)),
            asyncio.create_task(_carry(there_reader, writer)),
        }


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(65_536):
            sink.write(data)
    sink.close()


class Behind(OneServer):
    """A server that is listened to over another way than it is published to."""

    def __init__(self, redis: Redis, listening: Redis) -> None:
        super().__init__(redis)
        self._listening = OneServer(listening)

    def servers(self) -> Mapping[str, NewConnection]:
        return self._listening.servers()


async def test_a_connection_that_went_silent_is_replaced(redis: Redis, redis_url: str) -> None:
    address = redis.connection_pool.connection_kwargs
    wire = Wire(address["port"])
    connected = asyncio.Semaphore(0)
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    async with wire.laid(), asyncio.timeout(PATIENCE_S), Supervisor() as supervisor:
        wired = connect(f"redis://127.0.0.1:{wire.port}/0")
        assert isinstance(wired, Redis)
        listener = Listener(Behind(redis, wired), connected.release, probe_every_s=0.1, deaf_after_s=1.5)
        with pytest.raises(NotListeningError):
            await listener.check()
        supervisor.start("listener", listener.run)
        supervisor.start("probe", listener.probe)
        await listener.subscribe("a channel", heard.put_nowait)
        await connected.acquire()
        await redis.publish("a channel", "1")
        assert await heard.get() == b"1"
        await listener.subscribe("a bad one", _fail)
        await redis.publish("a bad one", "0")
        await wire.cut()
        await connected.acquire()
        await redis.publish("a channel", "2")
        assert await heard.get() == b"2"
        await until(lambda: _hears(listener))
        await listener.unsubscribe(["a channel"])
        await redis.publish("a channel", "3")
        await listener.subscribe("another", heard.put_nowait)
        await redis.publish("another", "4")
        assert await heard.get() == b"4"


async def test_a_client_of_a_killed_gateway_goes_on_at_another_one(
    redis_url: str, points: Points, http: httpx.AsyncClient
) -> None:
    session = await points.open()
    async with (
        gateway(redis_url, http) as first,
        gateway(redis_url, http) as second,
        join(first.url, session) as client,
        join(second.url, session) as witness,
    ):
        for _ in range(5):
            await points.happen(session)
        await client.reach(session.seq)
        first.process.kill()
        for _ in range(5):
            await points.happen(session)
        async with join(second.url, session, seq=client.seq, epoch=EPOCH) as moved:
            assert moved.welcome.recovered
            await moved.reach(session.seq)
        await witness.reach(session.seq)
        assert witness.state == session.state
        second.process.terminate()
        assert (await witness.closed())[0] == 1012
        async with asyncio.timeout(PATIENCE_S):
            assert await second.process.wait() in {0, -signal.SIGTERM}
