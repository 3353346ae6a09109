"""What every client may rely on: no gap, no double, in order; whatever happens to Valkey and to gateways."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import httpx
import pytest
from redis.asyncio import Redis

from contracts.channels import room_channel, room_log, shard_of, watched_rooms
from contracts.frames import Tick, encode
from contracts.ids import RoomSeq
from services.kit.clock import local_ms
from services.kit.rooms import EVENTS_KEPT
from tests.integration.realtime.clients import PATIENCE_S, closed, dial, join, token_for, until
from tests.integration.realtime.metrics import metric
from tests.integration.realtime.points import EPOCH, Points, Session


async def test_who_comes_back_is_told_exactly_what_was_missed(gateway_url: str, points: Points) -> None:
    session = await points.open(events=10)
    async with join(gateway_url, session, seq=4, epoch=EPOCH) as client:
        assert client.welcome.recovered
        await points.happen(session)
        await client.reach(12)
    async with join(gateway_url, session, seq=12, epoch=EPOCH) as client:
        assert client.welcome.recovered
        await points.happen(session)
        assert (await client.next()).seq == 13


@pytest.mark.parametrize(
    ("seq", "epoch"), [(4, "another"), (4, None), (None, EPOCH)], ids=["another epoch", "no epoch", "no seq"]
)
async def test_who_cannot_go_on_is_given_a_snapshot(
    gateway_url: str, points: Points, seq: int | None, epoch: str | None
) -> None:
    session = await points.open(events=10)
    async with join(gateway_url, session, seq=seq, epoch=epoch) as client:
        assert (client.welcome.recovered, client.welcome.epoch) == (False, EPOCH)
        assert (client.seq, client.state) == (11, session.state)


async def test_who_was_away_for_longer_than_the_log_is_given_a_snapshot(gateway_url: str, points: Points) -> None:
    session = await points.open(events=3 * EVENTS_KEPT)
    async with join(gateway_url, session, seq=2, epoch=EPOCH) as client:
        assert not client.welcome.recovered
        assert client.seq == session.seq
        await points.happen(session)
        await client.next()


async def test_too_many_bytes_are_told_as_a_snapshot(new_gateway: Callable[..., str], points: Points) -> None:
    session = await points.open()
    for _ in range(5):
        await points.happen(session, size=10_000)
    async with join(new_gateway(send_queue_bytes=1 << 16), session, seq=1, epoch=EPOCH) as client:
        assert not client.welcome.recovered


async def test_a_message_that_was_lost_is_read_from_the_log_before_the_next_is_sent(
    gateway_url: str, points: Points, http: httpx.AsyncClient
) -> None:
    session = await points.open()
    async with join(gateway_url, session) as client:
        before = await metric(http, gateway_url, "baton_gaps_repaired_total")
        await points.happen_unheard(session)
        await points.happen_unheard(session)
        await points.happen(session)
        await client.reach(4)
        assert client.state == session.state
        assert await metric(http, gateway_url, "baton_gaps_repaired_total") > before


async def test_a_lost_last_message_is_found_by_comparing_positions(gateway_url: str, points: Points) -> None:
    session = await points.open()
    async with join(gateway_url, session) as client:
        await points.happen_unheard(session)
        await client.reach(2)


async def test_a_lost_last_message_is_found_by_the_next_tick(
    gateway_url: str, points: Points, http: httpx.AsyncClient
) -> None:
    session = await points.open()
    tick = Tick(seq=RoomSeq(2), at=1, next_at=2, points={session.player_id: 3})
    async with join(gateway_url, session) as client:
        before = await metric(http, gateway_url, "baton_gaps_repaired_total")
        await points.happen_unheard(session)
        await points.redis.publish(room_channel(session.id), b"=2 " + encode(tick))
        assert (await client.next()).seq == 2
        assert tick in client.others
        assert await metric(http, gateway_url, "baton_gaps_repaired_total") > before


async def test_a_gap_longer_than_the_log_makes_the_client_come_back(gateway_url: str, points: Points) -> None:
    session = await points.open()
    async with join(gateway_url, session) as client:
        await points.happen_unheard(session)
        await points.redis.delete(room_log(session.id))
        await points.happen(session)
        assert await client.closed() == (4002, "sequence_lost")
    async with join(gateway_url, session, seq=client.seq, epoch=EPOCH) as client:
        assert not client.welcome.recovered
        assert client.state == session.state


async def test_an_emptied_valkey_is_filled_again_and_no_client_notices(gateway_url: str, points: Points) -> None:
    session = await points.open(events=3)
    async with join(gateway_url, session) as client:
        await points.redis.flushall()
        async with asyncio.timeout(PATIENCE_S):
            await points.rebuilding.wait()
        assert points.rebuilt == [session.id]
        await points.happen(session)
        await points.redis.flushall()
        for _ in range(3):
            await points.happen_after_loss(session)
        await client.reach(session.seq)
        assert client.state == session.state
        async with join(gateway_url, session, seq=2, epoch=EPOCH) as other:
            assert other.welcome.recovered
            await other.reach(session.seq)


async def test_a_client_that_has_more_than_the_room_is_never_sent_back(gateway_url: str, points: Points) -> None:
    session = await points.open(events=5)
    seen = session.seq
    await points.redis.flushall()
    await points.tell(_older(session, by=3))
    async with join(gateway_url, session, seq=seen, epoch=EPOCH) as client:
        assert client.welcome.recovered
        assert points.rebuilt == [session.id]
        await points.happen(session)
        assert (await client.next()).seq == seen + 1
    async with dial(gateway_url, session.id) as socket:
        await socket.send(
            f'{{"type": "join", "token": "{token_for(session.team_id)}", "seq": 1000, "epoch": "{EPOCH}"}}'
        )
        assert await closed(socket) == (4001, "room_unavailable")


async def test_a_database_from_a_backup_starts_every_client_anew(gateway_url: str, points: Points) -> None:
    session = await points.open(events=5)
    async with join(gateway_url, session) as client:
        session.epoch = "after the backup"
        session.frames = session.frames[:3]
        await points.tell(session)
        assert await client.closed() == (4002, "sequence_lost")
    async with join(gateway_url, session, seq=client.seq, epoch=EPOCH) as client:
        assert (client.welcome.recovered, client.seq) == (False, 3)
        await points.happen(session)
        await client.next()


async def test_a_killed_subscription_comes_back_without_a_gap(
    gateway_url: str, points: Points, http: httpx.AsyncClient
) -> None:
    session = await points.open()
    async with join(gateway_url, session) as client:
        for _ in range(3):
            await until(lambda: points.redis.client_kill_filter(_type="pubsub"))
            for _ in range(10):
                await points.happen(session)
            await client.reach(session.seq)
        assert client.state == session.state
        assert (await http.get(f"{gateway_url}/readyz")).status_code == 200


async def test_all_of_many_first_clients_see_the_same_sequence(gateway_url: str, points: Points) -> None:
    session = await points.open()
    satisfied = 0

    async def play() -> None:
        while satisfied < 50:
            await points.happen(session)
            await witness.reach(session.seq)

    async def visit() -> None:
        nonlocal satisfied
        async with join(gateway_url, session) as client:
            await client.reach(client.seq + 10)
            async with join(gateway_url, session, seq=client.seq - 5, epoch=EPOCH) as again:
                assert again.welcome.recovered
                await again.reach(client.seq + 5)
            satisfied += 1
            await playing
            await client.reach(session.seq)
            assert client.state == session.state

    async with join(gateway_url, session) as witness, asyncio.TaskGroup() as group:
        playing = group.create_task(play())
        for _ in range(50):
            group.create_task(visit())


async def test_one_event_reaches_the_sockets_of_two_gateways(
    new_gateway: Callable[..., str], gateway_url: str, points: Points
) -> None:
    session = await points.open()
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(join(url, session))
            for url in [gateway_url, new_gateway()]
            for _ in range(3)
        ]
        for _ in range(50):
            await points.happen(session)
        for client in clients:
            await client.reach(51)
            assert client.state == session.state


async def test_ephemeral_messages_reach_everybody_and_take_no_number(gateway_url: str, points: Points) -> None:
    session = await points.open()
    tick = Tick(seq=session.seq, at=1, next_at=2, points={session.player_id: 3})
    async with join(gateway_url, session) as client:
        await points.rooms.say([(session.id, encode(tick))])
        await points.happen(session)
        assert (await client.next()).seq == 2
        assert tick in client.others


async def test_open_rooms_are_known_to_be_watched(gateway_url: str, points: Points, redis: Redis) -> None:
    session = await points.open()
    watched = watched_rooms(shard_of(session.id))
    await redis.zadd(watched, {"long gone": local_ms() - 600_000, "just gone": local_ms() - 1_000})
    async with join(gateway_url, session):
        await until(lambda: redis.zscore(watched, str(session.id)))
        end = await redis.zscore(watched, str(session.id))
        assert end is not None
        assert local_ms() + 15_000 < end < local_ms() + 26_000

        async def long_gone() -> bool:
            return await redis.zscore(watched, "long gone") is None

        await until(long_gone)
        assert await redis.zscore(watched, "just gone") is not None


async def test_an_empty_room_is_left_after_a_while_and_can_be_entered_again(
    gateway_url: str, points: Points, redis: Redis
) -> None:
    session = await points.open()
    channel = room_channel(session.id)

    async def nobody_listens() -> bool:
        return [number for _, number in await redis.pubsub_numsub(channel)] == [0]

    async with join(gateway_url, session):
        assert not await nobody_listens()
    await until(nobody_listens)
    await points.happen(session)
    async with join(gateway_url, session) as client:
        assert client.seq == 2
        await points.happen(session)
        await client.next()


def _older(session: Session, by: int) -> Session:
    older = Session()
    older.id, older.team_id, older.state = session.id, session.team_id, session.state
    older.frames = session.frames[:-by]
    return older
