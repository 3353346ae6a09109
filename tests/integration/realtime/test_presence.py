"""Who is in a room, as its clients are told it, over real gateways."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import httpx
import pytest
from redis.asyncio import Redis

from contracts.channels import room_presence
from contracts.frames import Presence
from contracts.ids import PlayerId
from contracts.rooms import PlayerJoined
from services.kit.tokens import Role
from tests.integration.realtime.clients import Client, join, token_for
from tests.integration.realtime.metrics import metric
from tests.integration.realtime.points import EPOCH, Points, Session
from tests.integration.realtime.processes import gateway

GRACE_S = 0.4


@pytest.fixture
async def session(points: Points) -> Session:
    """A session with a second player, who is Ben."""
    session = await points.open()
    session.commit(PlayerJoined(player_id=PlayerId(uuid4()), seat=1, name="Ben", colour="#17bebb"))
    await points.tell(session, since=session.seq - 1)
    return session


def players(session: Session) -> tuple[PlayerId, PlayerId]:
    ada, ben = session.state.players
    return ada.player_id, ben.player_id


def token(session: Session, player_id: PlayerId) -> str:
    return token_for(session.team_id, player_id=player_id)


def listed(presence: Presence) -> dict[PlayerId, int]:
    """Who is there, on how many connections."""
    return {person.subject: person.connections for person in presence.people}


async def hear(client: Client, *people: PlayerId) -> Presence:
    """The list with exactly these people, as soon as the client is told it."""
    return await client.hear(Presence, lambda presence: set(listed(presence)) == set(people))


def lists(client: Client) -> list[dict[PlayerId, int]]:
    """All lists that the client was told."""
    return [listed(frame) for frame in client.others if isinstance(frame, Presence)]


async def test_players_of_two_gateways_see_one_another(
    gateway_url: str, new_gateway: Callable[..., str], session: Session
) -> None:
    ada, ben = players(session)
    other_url = new_gateway()
    watching = PlayerId(uuid4())
    watch = token_for(session.team_id, player_id=watching, role=Role.SPECTATOR)
    async with join(gateway_url, session, token=token(session, ada)) as first:
        alone = await hear(first, ada)
        async with (
            join(other_url, session, token=token(session, ben)) as second,
            join(other_url, session, token=watch) as spectator,
            join(other_url, session, token=token(session, ada)),
        ):
            told = [
                await client.hear(Presence, lambda presence: listed(presence) == {ada: 2, ben: 1, watching: 1})
                for client in (first, second, spectator)
            ]
            assert told[0] == told[1] == told[2]
            assert [person.role for person in told[0].people] == ["player", "player", "spectator"]
            assert told[0].people[0].since == alone.people[0].since
            assert told[0].more == 0


async def test_a_reload_or_a_move_within_the_grace_is_not_seen_and_a_leave_is(
    new_gateway: Callable[..., str], session: Session
) -> None:
    ada, ben = players(session)
    one, other = new_gateway(presence_grace_s=GRACE_S), new_gateway(presence_grace_s=GRACE_S)
    async with join(other, session, token=token(session, ben)) as witness:
        await hear(witness, ben)
        for url in (one, one, other, one):
            async with join(url, session, token=token(session, ada)) as client:
                await hear(client, ada, ben)
        await hear(witness, ben)
        told = [set(people) for people in lists(witness)]
        assert told == [{ben}, *[{ada, ben}] * (len(told) - 2), {ben}]


async def test_who_comes_back_is_told_the_list_though_it_has_not_changed(gateway_url: str, session: Session) -> None:
    ada, ben = players(session)
    async with join(gateway_url, session, token=token(session, ben)):
        async with join(gateway_url, session, token=token(session, ada)) as client:
            before = await hear(client, ada, ben)
        async with join(gateway_url, session, token=token(session, ada), seq=client.seq, epoch=EPOCH) as client:
            assert (await hear(client, ada, ben)).people == before.people


async def test_the_clients_of_a_killed_gateway_vanish_within_its_time(
    redis_url: str, session: Session, http: httpx.AsyncClient
) -> None:
    ada, ben = players(session)
    settings: dict[str, Any] = {"BATON_PRESENCE_TTL_S": "2", "BATON_PRESENCE_GRACE_S": "1"}
    async with (
        gateway(redis_url, http, **settings) as first,
        gateway(redis_url, http, **settings) as second,
        join(second.url, session, token=token(session, ben)) as witness,
        join(first.url, session, token=token(session, ada)),
    ):
        await hear(witness, ada, ben)
        loop = asyncio.get_running_loop()
        first.process.kill()
        killed_at = loop.time()
        await hear(witness, ben)
        assert loop.time() - killed_at < 3


async def test_the_clients_of_a_gateway_that_stops_vanish_with_the_grace(
    redis_url: str, session: Session, http: httpx.AsyncClient
) -> None:
    ada, ben = players(session)
    settings: dict[str, Any] = {"BATON_PRESENCE_TTL_S": "60", "BATON_PRESENCE_GRACE_S": "1", "BATON_DRAIN_S": "0"}
    async with (
        gateway(redis_url, http, **settings) as first,
        gateway(redis_url, http, **settings) as second,
        join(second.url, session, token=token(session, ben)) as witness,
        join(first.url, session, token=token(session, ada)),
    ):
        await hear(witness, ada, ben)
        first.process.terminate()
        await first.process.wait()
        async with join(second.url, session):  # whose coming makes the list be put together again
            await witness.hear(Presence, lambda presence: ada not in listed(presence))


async def test_many_who_come_at_once_are_told_of_in_few_reports(
    gateway_url: str, session: Session, http: httpx.AsyncClient
) -> None:
    before = await metric(http, gateway_url, "baton_presence_reports_total")
    async with AsyncExitStack() as stack:
        clients = await asyncio.gather(*(stack.enter_async_context(join(gateway_url, session)) for _ in range(100)))
        for client in clients:
            whole = await client.hear(Presence, lambda presence: len(presence.people) + presence.more == 100)
            assert (len(whole.people), whole.more) == (64, 36)
        assert await metric(http, gateway_url, "baton_presence_reports_total") - before < 50


async def test_trouble_with_presence_hurts_nobody_and_passes(
    gateway_url: str, points: Points, session: Session, redis: Redis
) -> None:
    ada, ben = players(session)
    await redis.set(room_presence(session.id), "no hash")
    async with (
        join(gateway_url, session, token=token(session, ada)) as client,
        join(gateway_url, session, token=token(session, ben)),
    ):
        for _ in range(5):
            await points.happen(session)
        await client.reach(session.seq)
        assert lists(client) == []
        other = await points.open()
        async with join(gateway_url, other) as elsewhere:
            await elsewhere.hear(Presence)
        await redis.delete(room_presence(session.id))
        await hear(client, ada, ben)
