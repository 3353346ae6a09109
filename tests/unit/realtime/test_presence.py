import asyncio
from collections.abc import Sequence
from contextlib import suppress
from uuid import uuid4

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from contracts.ids import PlayerId, SessionId, TeamId
from services.kit.supervise import stop
from services.kit.tokens import Identity, Role
from services.realtime.presence import Presence
from services.realtime.register import NAMED, Report, person_of

PATIENCE_S = 10.0
LONG_S = 3600.0


def identity(role: Role = Role.PLAYER) -> Identity:
    return Identity(subject=PlayerId(uuid4()), team_id=TeamId(uuid4()), role=role, expires_at=0)


class FakeRegister:
    """Keeps what was reported. `answers` are given to reports without people or with, `error` to all."""

    def __init__(self) -> None:
        self.calls: list[Sequence[Report]] = []
        self.renewed: list[Sequence[SessionId]] = []
        self.forgets = False
        self.called = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.error: Exception | None = None
        self.broken: dict[SessionId, Exception] = {}
        self.ends_in_s: float | None = None

    async def report(self, reports: Sequence[Report]) -> list[float | Exception | None]:
        self.calls.append(reports)
        self.called.set()
        await self.go_on.wait()
        if self.error is not None:
            raise self.error
        return [self.broken.get(report.session_id, self.ends_in_s) for report in reports]

    async def renew(self, session_ids: Sequence[SessionId]) -> dict[SessionId, float | None]:
        self.renewed.append(session_ids)
        self.called.set()
        if self.error is not None:
            raise self.error
        return {} if self.forgets else dict.fromkeys(session_ids, self.ends_in_s)

    async def next(self) -> Sequence[Report]:
        """What is reported next."""
        async with asyncio.timeout(PATIENCE_S):
            await self.called.wait()
        self.called.clear()
        return self.calls[-1]


class Running:
    """A presence that is kept running, and a room."""

    def __init__(self, ttl_s: float = LONG_S, grace_s: float = LONG_S) -> None:
        self.register = FakeRegister()
        self.presence = Presence(self.register, ttl_s=ttl_s, grace_s=grace_s)
        self.room = SessionId(uuid4())
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.task = asyncio.create_task(self.presence.run())

    async def __aenter__(self) -> "Running":
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.task is not None
        await stop([self.task])
        with suppress(asyncio.CancelledError):
            self.task.result()


async def test_all_who_come_in_one_turn_are_reported_at_once() -> None:
    async with Running() as running:
        people = [identity() for _ in range(3)]
        for who in [*people, people[0]]:
            running.presence.join(running.room, who)
        assert await running.register.next() == [
            Report(
                running.room,
                [(person_of(people[0]), 2), (person_of(people[1]), 1), (person_of(people[2]), 1)],
                tell=True,
            )
        ]


async def test_a_storm_costs_one_call_at_a_time() -> None:
    async with Running() as running:
        running.register.go_on.clear()
        running.presence.join(running.room, identity())
        await running.register.next()
        rooms = [SessionId(uuid4()) for _ in range(100)]
        for number in range(3000):
            running.presence.join(rooms[number % 100], identity())
            if number % 50 == 0:
                await asyncio.sleep(0)
        running.register.go_on.set()
        assert sorted(report.session_id for report in await running.register.next()) == sorted(rooms)
        assert len(running.register.calls) == 2
        assert all(len(report.people) == 30 for report in running.register.calls[-1])


async def test_a_crowd_is_reported_less_often() -> None:
    async with Running() as running:
        loop = asyncio.get_running_loop()
        for _ in range(100):
            running.presence.join(running.room, identity(Role.SPECTATOR))
        await running.register.next()
        began = loop.time()
        running.presence.join(running.room, identity())
        await running.register.next()
        assert loop.time() - began > 0.09


async def test_of_a_crowd_the_players_and_some_others_are_named() -> None:
    async with Running() as running:
        players = [identity(), identity(Role.HOST)]
        crowd = [identity(Role.SPECTATOR) for _ in range(2 * NAMED)]
        for who in [*crowd, *players, *crowd]:
            running.presence.join(running.room, who)
        [report] = await running.register.next()
        assert len(report.people) == NAMED
        assert report.people[:2] == [(person_of(who), 1) for who in players]
        assert report.people[2:] == [(person_of(who), 2) for who in crowd[: NAMED - 2]]
        assert report.more == 2 * (len(crowd) - NAMED + 2)


async def test_who_closes_one_of_two_connections_is_still_there() -> None:
    async with Running() as running:
        who = identity()
        running.presence.join(running.room, who)
        running.presence.join(running.room, who)
        await running.register.next()
        running.presence.leave(running.room, who)
        assert await running.register.next() == [Report(running.room, [(person_of(who), 1)])]


async def test_what_is_here_and_has_not_changed_is_renewed_again_and_again() -> None:
    async with Running(ttl_s=0.06) as running:
        running.presence.join(running.room, identity())
        assert (await running.register.next())[0].tell
        for number in range(3):
            await running.register.next()
            assert running.register.renewed == [[running.room]] * (number + 1)
        assert len(running.register.calls) == 1


async def test_what_valkey_has_forgotten_is_reported_instead_of_renewed() -> None:
    async with Running(ttl_s=0.06) as running:
        who = identity()
        running.presence.join(running.room, who)
        await running.register.next()
        running.register.forgets = True
        async with asyncio.timeout(PATIENCE_S):
            while len(running.register.calls) < 3:
                await running.register.next()
        assert running.register.calls[1:3] == [[Report(running.room, [(person_of(who), 1)])]] * 2


async def test_who_comes_between_two_renewals_is_reported() -> None:
    async with Running(ttl_s=0.06) as running:
        running.presence.join(running.room, identity())
        await running.register.next()
        await running.register.next()
        running.presence.join(running.room, identity())
        async with asyncio.timeout(PATIENCE_S):
            while len(running.register.calls) < 2:
                await running.register.next()
        assert len(running.register.calls[1][0].people) == 2


async def test_a_renewal_that_valkey_did_not_take_is_made_when_it_is_back() -> None:
    running = Running(ttl_s=0.06)
    running.presence.join(running.room, identity())
    async with running:
        await running.register.next()
        running.register.error = RedisConnectionError("away")
        assert running.task is not None
        with pytest.raises(RedisConnectionError):
            await running.task
        running.register.error = None
        running.register.called.clear()
        before = len(running.register.renewed)
        running.start()
        await running.register.next()
        assert len(running.register.renewed) > before


async def test_somebodys_end_is_noticed_when_it_comes() -> None:
    async with Running() as running:
        running.register.ends_in_s = 0.05
        running.presence.join(running.room, identity())
        await running.register.next()
        running.register.ends_in_s = None
        running.register.forgets = True  # as the script says when there is somebody's end to be told
        async with asyncio.timeout(PATIENCE_S):
            while len(running.register.calls) < 2:
                await running.register.next()
        assert running.register.renewed == [[running.room]]


async def test_a_room_is_reported_until_the_grace_of_the_last_is_over_and_then_forgotten() -> None:
    async with Running(ttl_s=0.3, grace_s=0.1) as running:
        who = identity()
        running.presence.join(running.room, who)
        await running.register.next()
        running.register.ends_in_s = 0.05
        running.presence.leave(running.room, who)
        assert await running.register.next() == [Report(running.room, [])]
        running.register.ends_in_s = None
        assert await running.register.next() == [Report(running.room, [])]
        other = SessionId(uuid4())
        running.presence.join(other, who)
        for _ in range(3):
            assert [report.session_id for report in await running.register.next()] == [other]


async def test_the_end_of_a_dead_gateway_is_of_no_interest_to_who_has_nobody_there() -> None:
    async with Running(grace_s=0.1) as running:
        who = identity()
        running.presence.join(running.room, who)
        await running.register.next()
        running.register.ends_in_s = 0.2
        running.presence.leave(running.room, who)
        await running.register.next()
        running.presence.tell_again()
        running.presence.join(other := SessionId(uuid4()), who)
        assert [report.session_id for report in await running.register.next()] == [other]


async def test_after_a_break_all_rooms_are_told_again() -> None:
    async with Running() as running:
        running.presence.join(running.room, who := identity())
        await running.register.next()
        running.presence.tell_again()
        assert await running.register.next() == [Report(running.room, [(person_of(who), 1)], tell=True)]


async def test_what_valkey_did_not_take_is_reported_when_it_is_back() -> None:
    running = Running()
    running.register.error = RedisConnectionError("away")
    running.presence.join(running.room, who := identity())
    with pytest.raises(RedisConnectionError):
        await running.presence.run()
    running.register.error = None
    async with running:
        await running.register.next()
        assert running.register.calls[-1] == [Report(running.room, [(person_of(who), 1)], tell=True)]


async def test_one_room_that_fails_does_not_hold_up_the_others() -> None:
    running = Running()
    other = SessionId(uuid4())
    running.register.broken = {running.room: RedisConnectionError("this node is away")}
    for room in (running.room, other):
        running.presence.join(room, identity())
    with pytest.raises(RedisConnectionError):
        await running.presence.run()
    running.register.broken = {}
    running.register.called.clear()
    async with running:
        assert [(report.session_id, report.tell) for report in await running.register.next()] == [(running.room, True)]


async def test_a_gateway_that_closes_takes_leave_for_everybody() -> None:
    running = Running()
    who = identity()
    running.presence.join(running.room, who)
    await running.presence.close()
    assert running.register.calls == [[Report(running.room, [])]]
    running.presence.leave(running.room, who)


async def test_a_gateway_closes_also_without_valkey() -> None:
    running = Running()
    running.register.error = RedisConnectionError("away")
    running.presence.join(running.room, identity())
    await running.presence.close()
    assert len(running.register.calls) == 1
