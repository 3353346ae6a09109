"""⑦ Rooms are told everything, in order and once, and are rebuilt with the same numbers when Valkey lost them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from contracts.channels import ROOM_REQUESTS, room_channel, room_key, room_log
from contracts.events import RebuildRoom, encode
from contracts.frames import decode_event
from contracts.ids import SessionId
from contracts.rooms import State, decode_state
from services.kit.database import Database
from services.kit.rooms import EVENTS_KEPT, Publication, Rooms
from services.points.service import answers, sessions
from services.points.service.announcing import Announcer
from tests.factories import Puzzles
from tests.points_game import Game, Rows, Team, bearer, begin, until

pytestmark = pytest.mark.anyio


class Room:
    """A session's room as it is in Valkey."""

    def __init__(self, redis: Redis, session_id: SessionId) -> None:
        self._redis = redis
        self.session_id = session_id

    async def seq(self) -> int:
        return int(await self._redis.hget(room_key(self.session_id), "seq") or 0)

    async def state(self) -> State:
        return decode_state(await self._redis.hget(room_key(self.session_id), "state") or b"")

    async def frames(self) -> list[bytes]:
        """The log. The ids of its entries are its numbers."""
        entries: Any = await self._redis.xrange(room_log(self.session_id))
        frames = [fields[b"e"] for _, fields in entries]
        assert [int(entry_id.split(b"-")[0]) for entry_id, _ in entries] == [decode_event(f).seq for f in frames]
        return frames

    async def is_told(self, rows: Rows) -> bool:
        known: int = rows.value("SELECT seq FROM points.sessions WHERE session_id = %s", self.session_id)
        return await self.seq() == known


@asynccontextmanager
async def listening(redis: Redis, session_id: SessionId) -> AsyncIterator[list[tuple[int, bytes]]]:
    """What is published to a room meanwhile, as (seq, frame)."""
    heard: list[tuple[int, bytes]] = []
    pubsub = redis.pubsub()
    await pubsub.subscribe(room_channel(session_id))
    await pubsub.get_message(timeout=5)

    async def listen() -> None:
        async for message in pubsub.listen():
            seq, _, frame = message["data"].partition(b" ")
            heard.append((int(seq), frame))

    task = asyncio.create_task(listen())
    yield heard
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis types it not


async def test_a_room_has_the_state_and_the_very_frames_of_the_log(
    client: httpx.AsyncClient, database: Database, redis: Redis, rows: Rows
) -> None:
    team = await Team.make(client, 3)
    room = Room(redis, await team.open())
    await client.post(f"/sessions/{room.session_id}/ready", headers=bearer(team.tokens[0]))
    await until(lambda: room.is_told(rows))
    assert await room.frames() == rows.frames(room.session_id)
    assert await room.state() == await team.state(room.session_id)


async def test_a_room_is_told_each_event_once_and_in_order(client: httpx.AsyncClient, redis: Redis, rows: Rows) -> None:
    team = await Team.make(client, 4)
    session_id = await team.open()
    room = Room(redis, session_id)
    await until(lambda: room.is_told(rows))
    first = await room.seq()
    async with listening(redis, session_id) as heard:
        path = f"/sessions/{session_id}/ready"
        await asyncio.gather(
            *(
                client.post(path, json={"ready": ready}, headers=bearer(token))
                for ready in (True, False)
                for token in team.tokens
            )
        )
        await until(lambda: room.is_told(rows))
        last = await room.seq()
        await until(lambda: _is(len(heard) >= last - first))
    assert [seq for seq, _ in heard] == list(range(first + 1, last + 1))
    assert [frame for _, frame in heard] == rows.frames(session_id)[first:]


async def _is(condition: bool) -> bool:
    return condition


async def test_the_list_of_rooms_to_be_told_runs_empty(client: httpx.AsyncClient, rows: Rows) -> None:
    team = await Team.make(client, 2)
    await team.start(await team.open())

    async def empty() -> bool:
        return bool(rows.value("SELECT count(*) FROM points.untold_rooms") == 0)

    await until(empty)


async def test_a_room_that_valkey_lost_is_whole_again_with_the_next_event(
    client: httpx.AsyncClient, redis: Redis, rows: Rows
) -> None:
    team = await Team.make(client, 2)
    room = Room(redis, await team.open())
    await until(lambda: room.is_told(rows))
    before = await room.frames()
    await redis.flushall()
    async with listening(redis, room.session_id) as heard:
        await client.post(f"/sessions/{room.session_id}/ready", headers=bearer(team.tokens[0]))
        await until(lambda: room.is_told(rows))
        await until(lambda: _is(len(heard) >= 4))
    assert (await room.frames())[:3] == before
    assert await room.frames() == rows.frames(room.session_id)
    assert [seq for seq, _ in heard] == [1, 2, 3, 4]


async def test_a_gateway_may_ask_for_a_room_that_is_missing(
    client: httpx.AsyncClient, redis: Redis, rows: Rows
) -> None:
    team = await Team.make(client, 2)
    room = Room(redis, await team.open())
    await until(lambda: room.is_told(rows))
    epoch = await redis.hget(room_key(room.session_id), "epoch")
    await redis.flushall()
    for _ in range(3):
        await redis.xadd(ROOM_REQUESTS, {"e": encode(RebuildRoom(session_id=room.session_id))})
    await until(lambda: room.is_told(rows))
    assert await room.frames() == rows.frames(room.session_id)
    assert await redis.hget(room_key(room.session_id), "epoch") == epoch


async def test_a_request_for_a_room_of_no_session_is_answered_by_nothing(
    client: httpx.AsyncClient, redis: Redis, rows: Rows
) -> None:
    team = await Team.make(client, 1)
    unknown = SessionId(team.team_id)
    await redis.xadd(ROOM_REQUESTS, {"e": encode(RebuildRoom(session_id=unknown))})
    room = Room(redis, await team.open())
    await redis.flushdb()
    await redis.xadd(ROOM_REQUESTS, {"e": encode(RebuildRoom(session_id=room.session_id))})
    await until(lambda: room.is_told(rows))
    assert not await redis.exists(room_key(unknown))
    assert rows.value("SELECT count(*) FROM points.dead_letters") == 0


# --- without the service: what is committed and not told, as by a process that died in between


class Silent:
    """A process that commits, and whose publications stay with it."""

    def __init__(self, url: str) -> None:
        self.kept: list[Publication] = []
        self.database = Database(url, "baton_points", deliver=self._keep, pool_size=6)

    def _keep(self, posted: Sequence[Any]) -> None:
        self.kept += [message for message in posted if isinstance(message, Publication)]


@pytest.fixture
async def silent(clean: None, database_url: str) -> AsyncIterator[Silent]:
    silent = Silent(database_url)
    yield silent
    await silent.database.close()


@pytest.fixture
async def told_game(client: httpx.AsyncClient, database: Database, redis: Redis, rows: Rows) -> Game:
    """A game whose room knows everything."""
    game = await begin(client, database, players=2)
    await Announcer(database, Rooms(redis)).rebuild(game.session_id)
    assert await Room(redis, game.session_id).is_told(rows)
    return game


async def act(silent: Silent, puzzles: Puzzles, game: Game) -> None:
    """Two more events: a solved puzzle and its award."""
    async with silent.database.transaction() as transaction:
        await answers.apply(transaction, puzzles.solved(game.players[0], game.started_at + 1))


async def test_a_room_that_is_behind_is_sent_the_whole_range(
    told_game: Game, silent: Silent, redis: Redis, rows: Rows
) -> None:
    """The later publication overtakes the earlier, which then changes nothing."""
    room = Room(redis, told_game.session_id)
    first = await room.seq()
    await act(silent, told_game.puzzles, told_game)
    await act(silent, told_game.puzzles, told_game)
    announcer = Announcer(silent.database, Rooms(redis))
    async with listening(redis, room.session_id) as heard:
        for publication in [*reversed(silent.kept), *silent.kept]:
            announcer.announce([publication])
            await announcer.flush()
        await until(lambda: _is(len(heard) >= 4))
    assert [seq for seq, _ in heard] == [first + 1, first + 2, first + 3, first + 4]
    assert await room.frames() == rows.frames(room.session_id)
    assert await room.state() == rows.replayed(room.session_id)
    assert rows.value("SELECT count(*) FROM points.untold_rooms") == 1
    await announcer.forget_told()
    await announcer.forget_told()
    assert rows.value("SELECT count(*) FROM points.untold_rooms") == 0


async def test_what_a_dead_process_did_not_tell_is_told_by_the_sweeper(
    told_game: Game, silent: Silent, redis: Redis, rows: Rows
) -> None:
    room = Room(redis, told_game.session_id)
    await act(silent, told_game.puzzles, told_game)
    assert not await room.is_told(rows)
    announcer = Announcer(silent.database, Rooms(redis))
    rows.change("UPDATE points.untold_rooms SET next_try_at = next_try_at + 60000")
    assert await announcer.sweep() == 0  # too soon
    rows.change("UPDATE points.untold_rooms SET next_try_at = 0")
    assert await announcer.sweep() == 1
    assert await room.is_told(rows)
    assert await announcer.sweep() == 0
    await announcer.forget_told()
    assert rows.value("SELECT count(*) FROM points.untold_rooms") == 0


async def test_a_room_that_was_told_less_than_there_is_stays_on_the_list(
    told_game: Game, silent: Silent, redis: Redis, rows: Rows
) -> None:
    await act(silent, told_game.puzzles, told_game)
    await act(silent, told_game.puzzles, told_game)
    announcer = Announcer(silent.database, Rooms(redis))
    announcer.announce(silent.kept[:1])
    await announcer.flush()
    await announcer.forget_told()
    assert rows.value("SELECT count(*) FROM points.untold_rooms") == 1


async def test_a_room_keeps_its_last_events_and_the_rest_is_in_postgres(
    told_game: Game, silent: Silent, redis: Redis, rows: Rows
) -> None:
    player = told_game.players[0]
    async with silent.database.transaction() as transaction:
        for number in range(EVENTS_KEPT):
            event = told_game.puzzles.expired(player, told_game.started_at + number)
            await answers.apply(transaction, event)
    await redis.flushall()
    announcer = Announcer(silent.database, Rooms(redis))
    await announcer.rebuild(told_game.session_id)
    room = Room(redis, told_game.session_id)
    frames = rows.frames(room.session_id)
    assert len(frames) > EVENTS_KEPT
    assert await room.frames() == frames[-EVENTS_KEPT:]
    assert await room.state() == rows.replayed(room.session_id)


async def test_another_epoch_empties_the_room_first(told_game: Game, silent: Silent, redis: Redis, rows: Rows) -> None:
    """The database was restored from a backup: what the room has is of another life."""
    room = Room(redis, told_game.session_id)
    told = await room.frames()
    await redis.hset(room_key(room.session_id), "epoch", "another life")
    await act(silent, told_game.puzzles, told_game)
    announcer = Announcer(silent.database, Rooms(redis))
    announcer.announce(silent.kept)
    await announcer.flush()
    assert await room.frames() == rows.frames(room.session_id)
    assert (await room.frames())[: len(told)] == told


async def test_closing_a_lobby_is_told_as_well(
    client: httpx.AsyncClient, silent: Silent, redis: Redis, rows: Rows
) -> None:
    room = Room(redis, await (await Team.make(client, 1)).open())
    async with silent.database.transaction() as transaction:
        assert await sessions.close_abandoned(transaction, -60_000) == 1
    announcer = Announcer(silent.database, Rooms(redis))
    announcer.announce(silent.kept)
    await announcer.flush()
    assert await room.state() == rows.replayed(room.session_id)
