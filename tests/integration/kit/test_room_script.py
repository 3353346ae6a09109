"""The script that tells a room: whatever is called in whatever order, no client can see a gap or a double.

On a real Valkey and on fakeredis, which so proves fit for unit tests.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import fakeredis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.exceptions import RedisError

from contracts.channels import room_channel, room_key, room_log
from contracts.ids import RoomSeq, SessionId
from services.kit.redis_client import connect
from services.kit.rooms import EVENTS_KEPT, TIME_TO_LIVE_MS, Publication, RoomBehindError, Rooms

SESSION = SessionId(uuid4())
EPOCH = "epoch"
ON_THE_REAL_ONE = pytest.mark.parametrize("on_server", ["valkey"], indirect=True)
"""What proves the script in its breadth; fakeredis runs it in Python, and no unit test needs so much of it."""


@pytest.fixture(params=["valkey", "fakeredis"])
def on_server(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Runs a scenario with an empty server."""
    url = request.getfixturevalue("redis_url") if request.param == "valkey" else None
    fake = fakeredis.FakeServer()

    async def run(scenario: Callable[[Redis], Awaitable[Any]]) -> Any:
        redis: Any = fakeredis.FakeAsyncRedis(server=fake) if url is None else connect(url)
        try:
            await redis.flushall()
            return await scenario(redis)
        finally:
            await redis.aclose()

    return lambda scenario: asyncio.run(run(scenario))


def frame(seq: int, epoch: str = EPOCH) -> bytes:
    return f'{{"seq":{seq},"of":"{epoch}"}}'.encode()


def span(first: int, last: int, *, epoch: str = EPOCH, rebuild: bool = False) -> Publication:
    frames = [frame(seq, epoch) for seq in range(first, last + 1)]
    return Publication(SESSION, epoch, RoomSeq(first), f"state {last}".encode(), frames, rebuild=rebuild)


class Room:
    """What is in Valkey of the room."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.rooms = Rooms(redis)

    async def tell(self, publication: Publication) -> RoomBehindError | None:
        behind = await self.rooms.tell([publication])
        return behind[0] if behind else None

    async def seq(self) -> int:
        return int((await self.hash()).get(b"seq", 0))

    async def hash(self) -> dict[bytes, bytes]:
        found: Any = await self.redis.hgetall(room_key(SESSION))
        return dict(found)

    async def log(self) -> list[tuple[int, bytes]]:
        entries: Any = await self.redis.xrange(room_log(SESSION))
        return [(int(entry_id.split(b"-")[0]), fields[b"e"]) for entry_id, fields in entries]


def test_a_range_is_appended_with_its_numbers_and_the_newest_state(on_server: Callable[..., Any]) -> None:
    async def scenario(redis: Redis) -> None:
        room = Room(redis)
        assert await room.tell(span(1, 3)) is None
        assert await room.tell(span(4, 4)) is None
        assert await room.log() == [(seq, frame(seq)) for seq in (1, 2, 3, 4)]
        assert await room.hash() == {b"epoch": b"epoch", b"seq": b"4", b"state": b"state 4", b"schedule": b""}

    on_server(scenario)


def test_a_gap_is_refused_with_what_is_known_and_changes_nothing(on_server: Callable[..., Any]) -> None:
    async def scenario(redis: Redis) -> None:
        room = Room(redis)
        await room.tell(span(1, 2))
        behind = await room.tell(span(4, 5))
        assert behind is not None
        assert behind.known == 2
        assert await room.seq() == 2
        assert len(await room.log()) == 2
        empty = await Room(redis).rooms.tell([Publication(SessionId(uuid4()), EPOCH, RoomSeq(2), b"", [frame(2)])])
        assert [room.known for room in empty] == [0]

    on_server(scenario)


@pytest.mark.parametrize("again", [(1, 2), (2, 3), (3, 3), (1, 1)])
def test_what_is_known_already_is_ignored(on_server: Callable[..., Any], again: tuple[int, int]) -> None:
    async def scenario(redis: Redis) -> None:
        room = Room(redis)
        await room.tell(span(1, 3))
        assert await room.tell(span(*again)) is None
        assert await room.log() == [(seq, frame(seq)) for seq in (1, 2, 3)]
        assert (await room.hash())[b"state"] == b"state 3"

    on_server(scenario)


def test_an_overlapping_range_adds_what_is_new(on_server: Callable[..., Any]) -> None:
    async def scenario(redis: Redis) -> None:
        room = Room(redis)
        await room.tell(span(1, 3))
        await room.tell(span(2, 5))
        assert [seq for seq, _ in await room.log()] == [1, 2, 3, 4, 5]

    on_server(scenario)


def test_a_rebuild_may_begin_anywhere_and_forgets_what_lies_before_the_hole(on_server: Callable[..., Any]) -> None:
    async def scenario(redis: Redis) -> None:
        room = Room(redis)
        await room.tell(span(1, 2))
        assert await room.tell(span(10, 12, rebuild=True)) is None
        assert [seq for seq, _ in await room.log()] == [10, 11, 12]
        assert await room.tell(span(13, 13)) is None

    on_server(scenario)


def test_a_rebuild_of_what_is_known_changes_nothing(on_server: Callable[..., Any]) -> None:
    async def scenario(redis: Redis) -> None:
        room = Room(redis)
        await room.tell(span(1, 5))
        await room.tell(span(2, 4, rebuild=True))
        assert [seq for seq, _ in await room.log()] == [1, 2, 3, 4, 5]
        assert (await room.hash())[b"state"] == b"state 5"

    on_server(scenario)


def test_another_epoch_begins_anew(on_server: Callable[..., Any]) -> None:
    async def scenario(redis: Redis) -> None:
        room = Room(redis)
        await room.tell(span(1, 5))
        behind = await room.tell(span(3, 3, epoch="restored"))
        assert behind is not None
        assert behind.known == 0
        await room.tell(span(1, 3, epoch="restored"))
        assert await room.log() == [(seq, frame(seq, "restored")) for seq in (1, 2, 3)]

    on_server(scenario)


@ON_THE_REAL_ONE
def test_a_room_keeps_about_its_last_events_and_lives_for_hours(on_server: Callable[..., Any]) -> None:
    async def scenario(redis: Redis) -> None:
        room = Room(redis)
        for first in range(1, 3_000, 250):
            await room.tell(span(first, first + 249))
        log = [seq for seq, _ in await room.log()]
        assert EVENTS_KEPT <= len(log) < 2 * EVENTS_KEPT
        assert log == list(range(log[0], 3_001))
        for key in (room_key(SESSION), room_log(SESSION)):
            assert 0 < await redis.pttl(key) <= TIME_TO_LIVE_MS

    on_server(scenario)


def test_the_room_of_a_finished_game_goes_sooner(on_server: Callable[..., Any]) -> None:
    async def scenario(redis: Redis) -> None:
        rooms = Rooms(redis, finished_ms=60_000)
        await rooms.tell([span(1, 2)])
        assert await redis.pttl(room_key(SESSION)) > 60_000
        await rooms.tell([replace(span(3, 3), finished=True)])
        for key in (room_key(SESSION), room_log(SESSION)):
            assert 0 < await redis.pttl(key) <= 60_000

    on_server(scenario)


def test_many_rooms_are_told_in_one_round_trip(on_server: Callable[..., Any]) -> None:
    async def scenario(redis: Redis) -> None:
        sessions = [SessionId(uuid4()) for _ in range(3)]
        publications = [Publication(s, EPOCH, RoomSeq(1 + n), b"", [frame(1)]) for n, s in enumerate(sessions)]
        behind = await Rooms(redis).tell(publications)
        assert [room.session_id for room in behind] == sessions[1:]

    on_server(scenario)


def test_the_script_is_loaded_again_where_the_server_forgot_it(on_server: Callable[..., Any]) -> None:
    async def scenario(redis: Redis) -> None:
        room = Room(redis)
        await room.tell(span(1, 1))
        await redis.script_flush()
        await room.tell(span(2, 2))
        assert await room.seq() == 2

    on_server(scenario)


def test_a_key_of_another_kind_is_an_error_and_not_silence(on_server: Callable[..., Any]) -> None:
    async def scenario(redis: Redis) -> None:
        await redis.set(room_key(SESSION), "text")
        with pytest.raises(RedisError):
            await Room(redis).tell(span(1, 1))

    on_server(scenario)


Call = tuple[str, int, int, bool]
calls = st.lists(
    st.one_of(
        st.tuples(st.just("tell"), st.integers(1, 12), st.integers(1, 5), st.booleans()),
        st.tuples(st.just("lose the hash"), st.just(0), st.just(0), st.just(False)),
        st.tuples(st.just("lose the log"), st.just(0), st.just(0), st.just(False)),
        st.tuples(st.just("other epoch"), st.just(0), st.just(0), st.just(False)),
    ),
    max_size=25,
)


@ON_THE_REAL_ONE
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=calls)
def test_no_order_of_calls_and_losses_leaves_a_gap(on_server: Callable[..., Any], calls: list[Call]) -> None:
    async def scenario(redis: Redis) -> None:
        room, epoch = Room(redis), 0
        pubsub = redis.pubsub()
        await pubsub.subscribe(room_channel(SESSION))
        heard: list[int] = []
        for what, first, count, rebuild in calls:
            known = await room.seq() if (await room.hash()).get(b"epoch") == str(epoch).encode() else 0
            if what == "tell":
                behind = await room.tell(span(first, first + count - 1, epoch=str(epoch), rebuild=rebuild))
                assert (behind is not None) == (first > known + 1 and not rebuild)
                now = known if behind else max(known, first + count - 1)
                assert await room.seq() == now
                heard += range(max(first, known + 1), now + 1)
                log = await room.log()
                if behind is None:
                    assert log == [(seq, frame(seq, str(epoch))) for seq in range(now - len(log) + 1, now + 1)]
            elif what == "other epoch":
                epoch += 1
            else:
                await redis.delete(room_key(SESSION) if what == "lose the hash" else room_log(SESSION))
        assert [int(data.split(b" ")[0]) for data in await published(pubsub, len(heard))] == heard
        await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis types it not

    on_server(scenario)


async def published(pubsub: Any, count: int) -> list[bytes]:
    found: list[bytes] = []
    while len(found) < count:
        message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=5)
        if message is not None:
            found.append(message["data"])
    assert await pubsub.get_message(ignore_subscribe_messages=True, timeout=0.001) is None
    return found
