"""Ticks come from Valkey alone, and tell what the rules of the game say."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import redis as synchronous
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from contracts.channels import WATCHED_SHARDS, room_channel, room_key, shard_of, watched_rooms
from contracts.frames import Tick, decode_to_client
from contracts.ids import RoomSeq, SessionId
from contracts.rooms import Status
from services.kit.clock import local_ms
from services.kit.database import Database
from services.kit.rooms import Publication, Rooms
from services.points.domain.game import Game
from services.points.domain.rules import zero_at
from services.points.domain.views import encode_schedule, points_of
from services.points.repository.saving import publication
from services.points.repository.ticks import SCRIPT, Ticks
from services.points.service.announcing import Announcer
from services.points.service.ticking import tell_watched
from tests.factories import Puzzles, lobby, running
from tests.points_game import Rows, begin, until

pytestmark = pytest.mark.anyio
STARTS = st.sampled_from([1, 1_000, 2**31 + 7, 1_795_000_000_123])


def tick_of(game: Game, at: int) -> Tick:
    """What the rules say."""
    started_at, interval = game.started_at or 0, game.rules.interval_ms
    next_at = started_at + ((at - started_at) // interval + 1) * interval
    points = {seat.player_id: points_of(game, seat, at) for seat in game.seats}
    return Tick(seq=RoomSeq(game.seq), at=at, next_at=next_at, points=points)


@st.composite
def games_at(draw: st.DrawFn) -> tuple[Game, int]:
    """A game that is being played, whatever has happened in it by then, and an instant at which it is told."""
    start = draw(STARTS)
    game = running(
        draw(st.integers(1, 5)),
        started_at=start,
        interval_ms=draw(st.sampled_from([250, 333, 5_000, 3_600_000])),
        decay=draw(st.sampled_from([1, 3, 1_000])),
        start_points=draw(st.sampled_from([1, 15, 10_000])),
        penalty=draw(st.sampled_from([0, 4])),
    )
    puzzles = Puzzles(game.session_id)
    end = max(seat.zero_at or 0 for seat in game.seats)
    at = start
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(at, max(at, end)))
        seat = draw(st.sampled_from(game.seats))
        make = draw(st.sampled_from([puzzles.solved, puzzles.failed, None]))
        if make is None:
            game.tick(at, draw(st.integers(1, 3)), uuid4())
        else:
            game.apply(make(seat.player_id, at))
    if draw(st.booleans()):
        game.end(draw(st.integers(at, at + 10_000)))
    if game.rules.interval_ms <= 5_000 and draw(st.booleans()):  # more than fits into 32 bits, but into 53
        seat = draw(st.sampled_from(game.seats))
        seat.base += 2**33
        seat.zero_at = zero_at(game.rules, start, seat.base, at)
    game.seq = draw(st.sampled_from([1, 77, 2**33]))
    later = draw(st.sampled_from([0, 1, 249, 250, 5_000, 10**8]))
    return game, draw(st.sampled_from([start, at, end, *(s.zero_at or 0 for s in game.seats)])) + later


@pytest.mark.usefixtures("clean")
def test_a_tick_says_what_the_rules_say(redis_url: str) -> None:
    with synchronous.Redis.from_url(redis_url) as valkey, valkey.pubsub() as pubsub:

        @settings(max_examples=150, deadline=None)
        @given(games_at())
        def check(told: tuple[Game, int]) -> None:
            game, at = told
            key = room_key(game.session_id)
            valkey.hset(key, mapping={"seq": game.seq, "schedule": encode_schedule(game)})
            pubsub.subscribe(room_channel(game.session_id))
            while (message := pubsub.get_message(timeout=5)) is None or message["type"] != "subscribe":
                pass
            played = game.status is Status.ACTIVE and at >= (game.started_at or 0)
            played &= game.ending_at is None or at < game.ending_at
            assert valkey.eval(SCRIPT, 1, key, at, "PUBLISH") == played
            pubsub.unsubscribe()
            heard = []
            while (message := pubsub.get_message(timeout=5)) is None or message["type"] != "unsubscribe":
                heard += [message["data"]] if message is not None and message["type"] == "message" else []
            assert len(heard) == played
            for prefix, _, frame in (data.partition(b" ") for data in heard):
                assert prefix == b"=%d" % game.seq
                assert decode_to_client(frame) == tick_of(game, at)

        check()


@asynccontextmanager
async def listening(redis: Redis, session_id: SessionId) -> AsyncIterator[Any]:
    """The next that is published to a room."""
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(room_channel(session_id))
        assert await pubsub.get_message(timeout=5) is not None

        async def heard() -> bytes:
            message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=5)
            assert message is not None
            data: bytes = message["data"]
            return data

        yield heard


async def test_a_room_has_its_schedule_from_the_event_that_changed_it(redis: Redis) -> None:
    rooms = Rooms(redis)
    game = running(2, started_at=1_000)
    key = room_key(game.session_id)
    game.seq = 3
    assert not await rooms.tell([publication(game, RoomSeq(1), [b"1", b"2", b"3"])])
    assert await redis.hget(key, "schedule") == encode_schedule(game) != b""
    game.advance(10**9)
    game.seq = 4
    assert not await rooms.tell([publication(game, RoomSeq(4), [b"4"])])
    assert await redis.hget(key, "schedule") == b""
    assert await Ticks(redis).tell([key.encode()], 10**9) == 0


async def test_a_room_that_is_not_here_or_not_played_in_is_passed_over(redis: Redis) -> None:
    waiting = lobby(2)
    waiting.seq = 1
    playing = running(1, started_at=50_000)
    playing.seq = 1
    await Rooms(redis).tell([publication(game, RoomSeq(1), [b"1"]) for game in (waiting, playing)])
    keys = [room_key(session_id).encode() for session_id in (waiting.session_id, SessionId(uuid4()))]
    assert await Ticks(redis).tell(keys, 10**9) == 0
    assert await Ticks(redis).tell([*keys, room_key(playing.session_id).encode()], 49_999) == 0
    assert await Ticks(redis).tell([*keys, room_key(playing.session_id).encode()], 50_000) == 1


async def test_a_schedule_that_cannot_be_read_keeps_no_other_room_from_its_tick(redis: Redis) -> None:
    playing, of_old = running(2, started_at=50_000), SessionId(uuid4())
    playing.seq = 1
    await Rooms(redis).tell([publication(playing, RoomSeq(1), [b"1"])])
    as_one_array = msgspec.msgpack.encode(["=1 %d %d %d", 1_000, 500, 2, 0, 15, 9_000])
    await redis.hset(room_key(of_old), "schedule", as_one_array)
    keys = [room_key(session_id).encode() for session_id in (of_old, playing.session_id)]
    assert await Ticks(redis).tell(keys, 50_000) == 1


async def test_more_rooms_than_go_into_a_call_are_all_told(redis: Redis) -> None:
    sessions = [SessionId(uuid4()) for _ in range(2_345)]
    schedule = encode_schedule(running(1, started_at=1))
    told = [Publication(s, "epoch", RoomSeq(1), b"", [b"1"], schedule=schedule) for s in sessions]
    assert not await Rooms(redis).tell(told)
    await redis.script_flush()
    assert await Ticks(redis).tell([room_key(session_id).encode() for session_id in sessions], 10) == len(sessions)


async def test_watched_rooms_are_told_once_a_period_however_many_ask(database: Database, redis: Redis) -> None:
    game = running(2, started_at=1_000, interval_ms=3_600_000)
    game.seq = 1
    sessions = [SessionId(uuid4()) for _ in range(40)]
    schedule = encode_schedule(game)
    await Rooms(redis).tell([Publication(s, "epoch", RoomSeq(1), b"", [b"1"], schedule=schedule) for s in sessions])
    for session_id in sessions:
        until_then = local_ms() + (60_000 if session_id != sessions[0] else -1)
        await redis.zadd(watched_rooms(shard_of(session_id)), {str(session_id): until_then})
    assert {shard_of(session_id) for session_id in sessions} <= set(range(WATCHED_SHARDS))
    async with listening(redis, sessions[1]) as heard:
        assert sum(await asyncio.gather(*(tell_watched(database, redis) for _ in range(3)))) == len(sessions) - 1
        assert (await heard()).startswith(b"=1 ")
        again = 0

        async def all_are_told_again() -> bool:
            nonlocal again
            again += await tell_watched(database, redis)
            return again >= len(sessions) - 1

        await until(all_are_told_again)
        assert (await heard()).startswith(b"=1 ")


async def test_a_played_games_ticks_agree_with_what_points_tells_over_http(
    client: Any, database: Database, redis: Redis, rows: Rows
) -> None:
    game = await begin(client, database)
    session_id = game.session_id
    assert await Announcer(database, Rooms(redis)).rebuild(session_id)
    seq = rows.value("SELECT seq FROM points.sessions")
    before = rows.one("SELECT * FROM points.sessions")
    await redis.zadd(watched_rooms(shard_of(session_id)), {str(session_id): local_ms() + 60_000})
    async with listening(redis, session_id) as heard:
        assert await tell_watched(database, redis) == 1
        prefix, _, frame = (await heard()).partition(b" ")
    tick = decode_to_client(frame)
    assert isinstance(tick, Tick)
    assert (prefix, tick.seq) == (b"=%d" % seq, seq)
    assert tick.points == dict.fromkeys(game.players, 15)
    assert tick.next_at == game.started_at + 3_600_000
    assert rows.one("SELECT * FROM points.sessions") == before
