"""What the services ask of Valkey, on a real cluster: streams, rooms, their readers, and servers that are away."""

import asyncio
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import redis as synchronous
from redis.exceptions import RedisError

from baton.ports import any_free
from baton.servers import Valkey
from contracts.channels import WATCHED_SHARDS, room_channel, room_key, shard_of, watched_rooms
from contracts.ids import RoomSeq, SessionId
from services.kit.redis_client import ClusterClient, ValkeyClient, connect
from services.kit.rooms import Publication, Rooms
from services.kit.streams import flatten
from services.points.repository.ticks import Ticks
from services.realtime.reading import Position
from services.realtime.recovery import RoomReader, RoomUnavailableError, UnknownSessionError
from services.realtime.register import Person, Register, Report
from tests.integration.realtime.points import Points
from tests.points_game import until
from tests.valkey_cluster import ValkeyCluster

pytestmark = pytest.mark.anyio

MANY = 60
"""Sessions, so that each of the three masters has some."""


def span(session_id: SessionId, first: int, last: int) -> Publication:
    frames = [f"{session_id} {seq}".encode() for seq in range(first, last + 1)]
    return Publication(session_id, "epoch", RoomSeq(first), f"state {last}".encode(), frames)


async def test_rooms_on_all_servers_are_told_and_read_in_one_call(cluster: ValkeyCluster, redis: ValkeyClient) -> None:
    sessions = [SessionId(uuid4()) for _ in range(MANY)]
    assert len({cluster.master_of(room_key(session_id)) for session_id in sessions}) == 3
    rooms, reader = Rooms(redis), RoomReader(redis)
    assert await rooms.tell([span(session_id, 1, 2) for session_id in sessions]) == []
    cluster.master_of(room_key(sessions[0])).ask("SCRIPT FLUSH")  # one of the servers knows the script no more
    behind = await rooms.tell([span(session_id, 3 + number % 2, 4) for number, session_id in enumerate(sessions)])
    assert [(room.session_id, room.known) for room in behind] == [(session_id, 2) for session_id in sessions[1::2]]
    keys, gone = [room_key(session_id) for session_id in sessions], room_key(SessionId(uuid4()))
    four, two = Position("epoch", RoomSeq(4)), Position("epoch", RoomSeq(2))
    assert await reader.differing([(key, four) for key in [*keys, gone]]) == {
        **dict.fromkeys(keys[1::2], two),
        gone: None,
    }
    assert await reader.differing([(keys[0], Position("another", RoomSeq(4)))]) == {keys[0]: four}
    readings = await asyncio.gather(*(reader.read(session_id, after=RoomSeq(1)) for session_id in sessions[::2]))
    for session_id, reading in zip(sessions[::2], readings, strict=True):
        assert reading.state == b"state 4"
        assert reading.since(RoomSeq(1)) == [(seq, f"{session_id} {seq}".encode()) for seq in (2, 3, 4)]


async def test_a_room_is_heard_on_its_own_server(cluster: ValkeyCluster, redis: ValkeyClient) -> None:
    session_id = SessionId(uuid4())
    owner = cluster.master_of(room_key(session_id))
    with synchronous.Redis(port=owner.port, socket_timeout=5) as listener, listener.pubsub() as pubsub:
        pubsub.ssubscribe(room_channel(session_id))
        await Rooms(redis).say([(session_id, b"a tick"), (SessionId(uuid4()), b"elsewhere")])
        await Rooms(redis).tell([span(session_id, 1, 1)])
        heard = [pubsub.get_message(timeout=5) for _ in range(3)]
    assert [message and message["data"] for message in heard] == [1, b"0 a tick", f"1 {session_id} 1".encode()]


async def test_presence_is_kept_and_told_where_the_room_is(cluster: ValkeyCluster, redis: ValkeyClient) -> None:
    sessions = [SessionId(uuid4()) for _ in range(MANY)]
    ada = uuid4()
    owner = cluster.master_of(room_key(sessions[0]))
    with synchronous.Redis(port=owner.port, socket_timeout=5) as listener, listener.pubsub() as pubsub:
        pubsub.ssubscribe(room_channel(sessions[0]))
        reports = [Report(session_id, [(Person(f"player:{ada}"), 1)]) for session_id in sessions]
        results = await Register(redis, "a gateway", ttl_s=60, grace_s=60).report(reports)
        heard = [pubsub.get_message(timeout=5) for _ in range(2)]
    assert not [result for result in results if isinstance(result, Exception)]
    assert heard[1] is not None
    assert str(ada).encode() in heard[1]["data"]


async def test_rooms_are_rebuilt_on_request(redis: ValkeyClient) -> None:
    points, reader = Points(redis), RoomReader(redis)
    async with points.answering():
        session = await points.open(events=3)
        await redis.delete(room_key(session.id))
        reading = await reader.read(session.id, after=RoomSeq(0))
        assert reading.log is not None
        assert [seq for seq, _ in reading.log] == [1, 2, 3, 4]
        assert points.rebuilt == [session.id]
        with pytest.raises(UnknownSessionError):
            await reader.read(SessionId(uuid4()))


async def test_watched_rooms_are_told_ticks_wherever_they_are(cluster: ValkeyCluster, redis: ValkeyClient) -> None:
    sessions = [SessionId(uuid4()) for _ in range(MANY)]
    schedule = b"".join(map(msgspec.msgpack.encode, ("=1 %d %d %d", 1_000, 500, 2, 0, 15)))
    told = [Publication(s, "epoch", RoomSeq(1), b"", [b"1"], schedule=schedule) for s in sessions]
    assert not await Rooms(redis).tell(told)
    for session_id in sessions:
        await redis.zadd(watched_rooms(shard_of(session_id)), {str(session_id): 5_000, str(uuid4()): 1_000})
    ticks = Ticks(redis)
    owner = cluster.master_of(room_key(sessions[0]))
    with synchronous.Redis(port=owner.port, socket_timeout=5) as listener, listener.pubsub() as pubsub:
        pubsub.ssubscribe(room_channel(sessions[0]))
        assert pubsub.get_message(timeout=5) is not None
        keys = [key for shard in range(WATCHED_SHARDS) for key in await ticks.watched(shard, 2_000)]
        assert sorted(keys) == sorted(room_key(session_id).encode() for session_id in sessions)
        assert await ticks.tell(keys, 2_000) == MANY
        heard = pubsub.get_message(timeout=5)
    assert heard is not None
    assert heard["data"] == b"=1 2000 2500 11"


async def test_a_cluster_that_is_away_is_an_error_like_any_other() -> None:
    redis = connect(f"redis+cluster://127.0.0.1:{any_free()},127.0.0.1:{any_free()}")
    with pytest.raises(RedisError):
        await redis.ping()
    with pytest.raises(RedisError):
        await Rooms(redis).tell([span(SessionId(uuid4()), 1, 1)])
    with pytest.raises(RoomUnavailableError):
        await RoomReader(redis).read(SessionId(uuid4()))
    await redis.aclose()


async def test_the_loss_of_one_server_does_not_stop_what_is_read_from_another(
    cluster: ValkeyCluster, redis: ValkeyClient
) -> None:
    assert isinstance(redis, ClusterClient)
    await redis.ping()
    first_asked = redis.get_default_node()
    stream = next(name for name in map(str, range(99)) if redis.get_node_from_key(name) != first_asked)
    lost = next(name for name in map(str, range(99)) if redis.get_node_from_key(name) == first_asked)
    await redis.xgroup_create(stream, "group", id="0", mkstream=True)
    owner = cluster.master_of(stream)

    async def read() -> list[Any]:
        return flatten(await redis.xreadgroup("group", "name", {stream: ">"}, block=4_000))

    async def readers() -> list[str]:
        return [client["id"] for client in owner.ask("CLIENT LIST") if client["cmd"] == "xreadgroup"]

    reading = asyncio.create_task(read())
    reader = await until(readers)
    next(node for node in cluster.nodes if node.port == first_asked.port).kill()

    async def fail() -> None:
        pipeline = redis.pipeline(transaction=False)
        pipeline.set(lost, 1)
        with pytest.raises(RedisError):
            await pipeline.execute()

    await asyncio.gather(*(fail() for _ in range(3)))
    assert await readers() == reader  # on the same connection
    await redis.xadd(stream, {"e": "x"})
    [(_, fields)] = await reading
    assert fields == {b"e": b"x"}
    await redis.xadd(stream, {"e": "y"})
    assert len(await read()) == 1
    assert await redis.ping()


async def test_who_has_what_is_looked_up_again_without_new_connections_until_that_changes(
    cluster: ValkeyCluster, redis: ValkeyClient
) -> None:
    assert isinstance(redis, ClusterClient)
    keys = [str(number) for number in range(30)]

    async def connected() -> int:
        await asyncio.gather(*map(redis.get, keys))  # as many connections as commands at once
        return sum(int(node.ask("INFO", "stats")["total_connections_received"]) for node in cluster.nodes)

    await connected()
    before = await connected()
    await redis.refresh()
    assert await connected() - before < len(keys)  # asking for the number costs one for each of the six servers
    former = cluster.master_of(keys[0])
    await asyncio.to_thread(cluster.fail_over, former)

    async def follows() -> bool:
        await redis.refresh()
        known = redis.get_node_from_key(keys[0])
        return known is not None and known.port == cluster.master_of(keys[0]).port != former.port

    await until(follows)


async def test_a_single_server_is_no_cluster(valkey: Valkey) -> None:
    redis = connect(f"redis+cluster://127.0.0.1:{valkey.port}")
    with pytest.raises(RedisError, match="Cluster mode is not enabled"):
        await redis.ping()
    await redis.aclose()
