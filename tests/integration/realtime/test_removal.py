"""Who leaves a team or is removed from it is closed at once, wherever the sockets are, and does not come in again."""

import asyncio
from collections.abc import Callable
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from contracts.frames import Join, encode
from contracts.ids import PlayerId, RoomSeq
from contracts.rooms import EndReason, PlayerJoined, PlayerLeft, SessionFinished
from services.kit.tokens import Role
from tests.integration.realtime.clients import closed, dial, join, token_for
from tests.integration.realtime.points import EPOCH, Points, Session

LEFT = (4507, "left")


def _joined(session: Session) -> tuple[PlayerId, str]:
    """One more player of the session, and their token. The room is not told."""
    player_id = PlayerId(uuid4())
    session.commit(PlayerJoined(player_id=player_id, seat=1, name="Bob", colour="#00ff00"))
    return player_id, token_for(session.team_id, player_id=player_id)


async def _close_of(url: str, session: Session, token: str, seq: int | None = None) -> tuple[int, str]:
    async with dial(url, session.id) as socket:
        frame = Join(token=token, seq=None if seq is None else RoomSeq(seq), epoch=EPOCH)
        await socket.send(encode(frame).decode())
        return await closed(socket)


async def test_a_removal_closes_all_sockets_of_the_player_at_once_and_the_way_back_is_shut(
    gateway_url: str, new_gateway: Callable[..., str], points: Points
) -> None:
    other_url = new_gateway()
    session = await points.open()
    removed, token = _joined(session)
    await points.tell(session, since=1)
    team_mate = token_for(session.team_id, player_id=session.player_id)
    async with (
        join(gateway_url, session, token=token) as here,
        join(other_url, session, token=token) as there,
        join(other_url, session, token=team_mate) as player,
        join(gateway_url, session, token=token_for(session.team_id, role=Role.HOST)) as host,
    ):
        session.commit(PlayerLeft(player_id=removed))
        await points.tell(session, since=2)
        async with asyncio.timeout(5):
            assert await here.closed() == LEFT
            assert await there.closed() == LEFT
        for url in (gateway_url, other_url):
            assert await _close_of(url, session, token) == LEFT
            assert await _close_of(url, session, token, seq=2) == LEFT
        await points.happen(session)
        for staying in (player, host):
            await staying.reach(session.seq)
            assert staying.state == session.state


async def test_a_removal_that_was_not_heard_closes_by_the_repair(gateway_url: str, points: Points) -> None:
    session = await points.open()
    own = token_for(session.team_id, player_id=session.player_id)
    async with join(gateway_url, session, token=own) as client, join(gateway_url, session) as witness:
        session.commit(PlayerLeft(player_id=session.player_id))
        await points.tell_unheard(session)
        assert await client.closed() == LEFT
        await witness.reach(2)


async def test_a_player_of_whom_the_room_was_not_told_yet_is_let_in(gateway_url: str, points: Points) -> None:
    session = await points.open()
    async with join(gateway_url, session) as witness:
        player_id, token = _joined(session)
        async with join(gateway_url, session, token=token) as client:
            assert (client.welcome.player_id, client.state) == (player_id, session.state)
            assert points.rebuilt == [session.id]
            await witness.reach(2)


async def test_a_player_of_whom_the_room_has_been_told_is_let_in_without_asking_points(
    gateway_url: str, points: Points
) -> None:
    session = await points.open()
    async with join(gateway_url, session):
        _, token = _joined(session)
        await points.tell(session, since=1)
        async with join(gateway_url, session, token=token) as client:
            assert client.state == session.state
    assert points.rebuilt == []


async def test_while_points_is_away_nobody_is_taken_for_removed(gateway_url: str, redis: Redis) -> None:
    points = Points(redis)
    session = await points.open()
    _, token = _joined(session)
    assert await _close_of(gateway_url, session, token) == (4001, "room_unavailable")


async def test_points_is_asked_for_a_stranger_but_not_again_and_again(gateway_url: str, points: Points) -> None:
    session = await points.open()
    stranger = token_for(session.team_id, player_id=PlayerId(uuid4()))
    for _ in range(5):
        assert await _close_of(gateway_url, session, stranger) == LEFT
    assert len(points.rebuilt) == 2


@pytest.mark.parametrize("told", [True, False])
async def test_who_joined_the_team_after_the_end_has_left_nothing_but_has_no_seat_there(
    gateway_url: str, points: Points, *, told: bool
) -> None:
    session = await points.open()
    session.commit(SessionFinished(finished_at=2, survival_ms=1, reason=EndReason.ALL_OUT))
    if told:
        await points.tell(session, since=1)
    later = token_for(session.team_id, player_id=PlayerId(uuid4()))
    assert await _close_of(gateway_url, session, later) == (4503, "forbidden")
