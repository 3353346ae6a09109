"""The register's script on a real Valkey: what gateways report, put together."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from contracts.channels import room_channel, room_presence
from contracts.frames import Presence, Present, decode_frame
from contracts.ids import PlayerId, SessionId, TeamId
from services.kit.redis_client import connect
from services.kit.tokens import Identity, Role
from services.realtime.register import NAMED, Register, Report, person_of
from tests.integration.realtime.clients import PATIENCE_S, until

TTL_S, GRACE_S = 0.6, 0.2


def person(role: Role = Role.PLAYER) -> Identity:
    return Identity(subject=PlayerId(uuid4()), team_id=TeamId(uuid4()), role=role, expires_at=0)


class Room:
    """A room whose channel is listened to, and gateways that report on it."""

    def __init__(self, redis: Redis, pubsub: Any) -> None:
        self.session_id = SessionId(uuid4())
        self._redis = redis
        self._pubsub = pubsub

    def gateway(self, name: str, *, ttl_s: float = 60.0, grace_s: float = 60.0) -> "Gateway":
        return Gateway(self, Register(self._redis, name, ttl_s=ttl_s, grace_s=grace_s))

    async def listen(self) -> None:
        await self._pubsub.subscribe(room_channel(self.session_id))
        assert (await self._pubsub.get_message(timeout=PATIENCE_S))["type"] == "subscribe"

    async def told(self) -> Presence:
        """The next list that the room is told."""
        message = await self._pubsub.get_message(timeout=PATIENCE_S)
        assert message is not None, "nothing was told"
        head, _, frame = message["data"].partition(b" ")
        assert head == b"0"
        presence = decode_frame(frame)
        assert isinstance(presence, Presence)
        return presence

    async def is_quiet(self) -> bool:
        """Whether nothing was told that was not read; a message of our own tells that nothing is under way."""
        await self._redis.publish(room_channel(self.session_id), b"end")
        return bool((await self._pubsub.get_message(timeout=PATIENCE_S))["data"] == b"end")

    async def ttl_ms(self) -> int:
        return int(await self._redis.pttl(room_presence(self.session_id)))


class Gateway:
    """One that reports on that room alone."""

    def __init__(self, room: Room, register: Register) -> None:
        self._room = room
        self._register = register

    async def report(self, *people: Identity, more: int = 0, tell: bool = False) -> float | None:
        counted = list(Counter(map(person_of, people)).items())
        [result] = await self._register.report([Report(self._room.session_id, counted, more, tell)])
        assert not isinstance(result, Exception), result
        return result


@pytest.fixture
async def room(redis: Redis) -> AsyncIterator[Room]:
    async with redis.pubsub() as pubsub:
        room = Room(redis, pubsub)
        await room.listen()
        yield room


def counts(presence: Presence) -> dict[UUID, int]:
    return {present.subject: present.connections for present in presence.people}


async def test_a_list_is_told_when_it_has_changed_and_only_then(room: Room) -> None:
    ada, ben = person(), person(Role.SPECTATOR)
    gateway = room.gateway("a")
    await gateway.report(ada)
    first = await room.told()
    assert first.people == [Present(subject=ada.subject, role="player", since=first.at, connections=1)]
    assert first.more == 0
    for _ in range(3):
        await gateway.report(ada)
    assert await room.is_quiet()
    await gateway.report(ada, ben, ada)
    second = await room.told()
    assert counts(second) == {ada.subject: 2, ben.subject: 1}
    assert second.people[0].since == first.at
    await gateway.report(ada, ben, ada, tell=True)
    assert (await room.told()).people == second.people


async def test_connections_are_summed_over_gateways_and_since_is_that_of_the_first(room: Room) -> None:
    ada, ben = person(), person()
    one, other = room.gateway("a"), room.gateway("b")
    await one.report(ada, ada)
    first = await room.told()
    await other.report(ben, ada)
    second = await room.told()
    assert counts(second) == {ada.subject: 3, ben.subject: 1}
    assert second.people[0].since == first.at
    assert second.people[1].since == second.at >= first.at


async def test_players_come_first_then_hosts_then_spectators_each_in_the_order_of_their_coming(room: Room) -> None:
    people = [person(role) for role in (Role.SPECTATOR, Role.PLAYER, Role.HOST, Role.PLAYER)]
    gateway = room.gateway("a")
    for number in range(1, 5):
        await gateway.report(*people[:number])
        told = await room.told()
        await asyncio.sleep(0.002)  # the next one comes in another millisecond
    assert [present.subject for present in told.people] == [people[i].subject for i in (1, 3, 2, 0)]


async def test_a_reload_within_the_grace_is_not_seen(room: Room) -> None:
    ada, ben = person(), person()
    gateway = room.gateway("a")
    await gateway.report(ada, ben)
    before = await room.told()
    wanted_in = await gateway.report(ben)
    assert wanted_in is not None
    assert 59 < wanted_in <= 60
    await gateway.report(ben, ada)
    assert await room.is_quiet()
    await gateway.report(ben, ada, tell=True)
    assert (await room.told()).people == before.people


async def test_moving_to_another_gateway_is_not_seen(room: Room) -> None:
    ada = person()
    one, other = room.gateway("a"), room.gateway("b")
    await one.report(ada)
    await room.told()
    await one.report()
    await other.report(ada)
    await one.report()
    assert await room.is_quiet()


async def test_who_opens_a_connection_before_the_old_one_is_closed_has_two_for_that_time(room: Room) -> None:
    ada = person()
    one, other = room.gateway("a"), room.gateway("b")
    await one.report(ada)
    first = await room.told()
    await other.report(ada)
    assert counts(await room.told()) == {ada.subject: 2}
    await one.report()
    assert (await room.told()).people == first.people


async def test_whoever_leaves_is_gone_after_the_grace(room: Room) -> None:
    ada, ben = person(), person()
    gateway = room.gateway("a", grace_s=GRACE_S)
    await gateway.report(ada, ben)
    await room.told()
    ends_in = await gateway.report(ben)
    assert ends_in is not None
    assert await room.is_quiet()
    await asyncio.sleep(ends_in)
    assert await gateway.report(ben) is None
    assert counts(await room.told()) == {ben.subject: 1}


async def test_who_comes_back_after_the_grace_has_come_anew(room: Room) -> None:
    ada, ben = person(), person()
    gateway = room.gateway("a", grace_s=0)
    await gateway.report(ada, ben)
    first = await room.told()
    await gateway.report(ben)
    await room.told()
    await asyncio.sleep(0.002)
    await gateway.report(ada, ben)
    back = {present.subject: present.since for present in (await room.told()).people}
    assert back[ada.subject] > first.at
    assert back[ben.subject] == first.at


async def test_what_a_dead_gateway_said_is_forgotten_by_whoever_still_reports(room: Room) -> None:
    ada, ben = person(), person()
    dead, alive = room.gateway("a", ttl_s=TTL_S), room.gateway("b")
    await dead.report(ada, ben)
    await room.told()
    ends_in = await alive.report(ben)
    assert ends_in is not None
    assert 0 < ends_in <= TTL_S
    assert counts(await room.told()) == {ada.subject: 1, ben.subject: 2}
    await asyncio.sleep(ends_in)
    assert await alive.report(ben) is None
    assert counts(await room.told()) == {ben.subject: 1}


async def test_a_gateway_that_reports_again_lives_on(room: Room) -> None:
    ada, ben = person(), person()
    lasting, witness = room.gateway("a", ttl_s=TTL_S), room.gateway("b")
    await lasting.report(ada)
    await witness.report(ben)
    ends = []
    for _ in range(4):
        await asyncio.sleep(TTL_S / 3)
        await lasting.report(ada)
        ends.append(await witness.report(ben))
    assert all(end is not None and end > TTL_S / 2 for end in ends)


async def test_a_room_that_nobody_reports_on_is_gone_with_its_time(room: Room) -> None:
    gateway = room.gateway("a", ttl_s=0.2, grace_s=0.1)
    await gateway.report(person())
    assert 0 < await room.ttl_ms() <= 200

    async def is_gone() -> bool:
        return await room.ttl_ms() == -2

    await until(is_gone)


async def test_an_empty_room_leaves_nothing_behind(room: Room) -> None:
    gateway = room.gateway("a", grace_s=0)
    await gateway.report(person(), more=3)
    await gateway.report()
    assert await room.ttl_ms() == -2


async def test_a_crowd_is_not_listed_by_name(room: Room) -> None:
    one, other = room.gateway("a"), room.gateway("b")
    watching = [person(Role.SPECTATOR) for _ in range(NAMED)]
    await one.report(*watching, more=1000)
    told = await room.told()
    assert (len(told.people), told.more) == (NAMED, 1000)
    ada = person()
    await other.report(ada, more=5)
    told = await room.told()
    assert told.people[0].subject == ada.subject
    assert (len(told.people), told.more) == (NAMED, 1006)


async def test_a_lost_register_is_made_anew_by_the_next_reports(room: Room, redis: Redis) -> None:
    ada, ben = person(), person()
    one, other = room.gateway("a"), room.gateway("b")
    await one.report(ada)
    await other.report(ben)
    await redis.flushall()
    await redis.script_flush()
    await one.report(ada)
    await other.report(ben)
    told = [counts(await room.told()) for _ in range(4)]
    assert told[-1] == {ada.subject: 1, ben.subject: 1}


async def test_what_has_not_changed_is_renewed_without_a_word_and_lives_on(room: Room) -> None:
    ada, ben = person(), person()
    one, other = room.gateway("a", ttl_s=TTL_S), room.gateway("b", ttl_s=60.0)
    await one.report(ada)
    await other.report(ben)
    await room.told()
    await room.told()
    for _ in range(4):
        await asyncio.sleep(TTL_S / 3)
        ends_in_s = (await one._register.renew([room.session_id]))[room.session_id]
        assert ends_in_s is not None
        assert 55 < ends_in_s < 60
    assert await room.is_quiet()
    assert (await other._register.renew([room.session_id]))[room.session_id] == pytest.approx(TTL_S, abs=TTL_S / 3)


async def test_what_is_not_as_it_was_cannot_be_renewed(room: Room, redis: Redis) -> None:
    ada, ben = person(), person()
    one, other = room.gateway("a", grace_s=0.05), room.gateway("b", ttl_s=0.05)

    async def renewed() -> dict[SessionId, float | None]:
        return await one._register.renew([room.session_id])

    async def refused() -> bool:
        return await renewed() == {}

    assert await refused()
    await one.report(ada, ben)
    assert await renewed() == {room.session_id: None}
    await one.report(ada)
    await until(refused)  # Ben's grace is over, which somebody has to tell
    await one.report(ada)
    await other.report(ben)
    await until(refused)  # the other gateway's time is up
    await one.report(ada)
    assert await renewed() == {room.session_id: None}
    assert await room.gateway("c")._register.renew([room.session_id]) == {}
    await redis.flushall()
    await redis.script_flush()
    assert await refused()


PEOPLE = [person() for _ in range(3)]
SAID = st.lists(st.tuples(st.sampled_from("abc"), st.lists(st.sampled_from(PEOPLE), max_size=4)), max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=SAID, grace_s=st.sampled_from([0.0, 3600.0]))
def test_the_list_is_the_sum_of_what_the_gateways_said_last_and_who_has_just_left(
    redis_url: str, said: list[tuple[str, list[Identity]]], grace_s: float
) -> None:
    asyncio.run(_the_list_is_the_sum(redis_url, said, grace_s))


async def _the_list_is_the_sum(redis_url: str, said: list[tuple[str, list[Identity]]], grace_s: float) -> None:
    redis = connect(redis_url)
    assert isinstance(redis, Redis)
    try:
        async with redis.pubsub() as pubsub:
            room = Room(redis, pubsub)
            await room.listen()
            last: dict[str, Counter[Identity]] = {}
            seen: set[Identity] = set()
            for gateway, people in said:
                await room.gateway(gateway, grace_s=grace_s).report(*people, tell=True)
                last[gateway] = Counter(people)
                seen.update(people)
                everybody = sum(last.values(), Counter[Identity]())
                just_left = seen - everybody.keys() if grace_s else set()
                told = counts(await room.told())
                assert told == {someone.subject: max(1, everybody[someone]) for someone in everybody.keys() | just_left}
            assert await room.is_quiet()
    finally:
        await redis.aclose()
