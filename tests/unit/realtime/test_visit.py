"""A client's visit, from its first frame to its end."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import pytest

from contracts.frames import Join, encode
from contracts.ids import PlayerId, RoomSeq
from services.realtime.close_codes import Close, Refused
from services.realtime.settings import RealtimeSettings
from services.realtime.visit import EARLY_FRAMES
from tests.unit.realtime.door import PING, Door, settled
from tests.unit.realtime.fakes import counted


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    door = Door()
    yield door
    await door.visits.close()
    for visit in list(door.visits.open):
        visit.lost()


@pytest.fixture(autouse=True)
def _nobody_is_left() -> Iterator[None]:
    before = counted("baton_connections", transport="websocket")
    yield
    assert counted("baton_connections", transport="websocket") == before


async def test_who_joins_is_in_the_room_and_is_told_what_is_heard_there(door: Door) -> None:
    player_id = PlayerId(uuid4())
    socket, visit = door.come()
    visit.receive(door.join(player_id, seq=RoomSeq(2), epoch="e"))
    await settled(lambda: visit.room is not None)
    [(session_id, identity, join)] = door.entrance.asked
    assert (session_id, identity.subject, join.seq, join.epoch) == (door.room.session_id, player_id, 2, "e")
    door.room.receive(b"4 4")
    door.room.flush()
    assert socket.texts == ["3", "4"]
    assert (door.presence.there, door.limits.open, list(door.visits.open)) == ([player_id], 1, [visit])


async def test_what_follows_the_join_waits_until_it_was_answered(door: Door) -> None:
    door.entrance.open.clear()
    socket, visit = door.come()
    visit.receive(door.join())
    for number in range(EARLY_FRAMES):
        visit.receive(PING % number)
    await settled(lambda: door.entrance.asked)
    assert socket.texts == []
    door.entrance.open.set()
    await settled(lambda: visit.room is not None)
    visit.receive(PING % EARLY_FRAMES)
    first, *pongs = socket.texts
    assert first == "3"
    assert [pong.partition(',"now"')[0] for pong in pongs] == [
        f'{{"type":"pong","id":{n}' for n in range(EARLY_FRAMES + 1)
    ]


async def test_too_much_before_the_answer_closes_and_nobody_enters(door: Door) -> None:
    door.entrance.open.clear()
    socket, visit = door.come()
    visit.receive(door.join())
    for number in range(EARLY_FRAMES + 1):
        visit.receive(PING % number)
    assert socket.closed == (4505, "bad_frames")
    visit.receive(PING % 0)
    door.entrance.open.set()
    socket.go()
    await settled(lambda: not door.visits._joins)
    assert (socket.texts, door.room.members, door.presence.there, door.limits.open) == ([], {}, [], 0)


async def test_who_goes_while_being_let_in_leaves_nothing_behind(door: Door) -> None:
    door.entrance.open.clear()
    socket, visit = door.come()
    visit.receive(door.join())
    visit.receive(PING % 1)
    await settled(lambda: door.entrance.asked)
    socket.go()
    door.entrance.open.set()
    await settled(lambda: not door.visits._joins)
    assert (socket.texts, door.room.members, door.presence.there) == ([], {}, [])
    assert (door.limits.open, door.limits._by_subject, door.visits.open) == (0, {}, set())


async def test_who_leaves_is_out_of_everything(door: Door) -> None:
    player_id = PlayerId(uuid4())
    first, _ = await door.let_in(player_id)
    second, _ = await door.let_in(player_id)
    assert door.presence.there == [player_id] * 2
    first.go()
    assert (door.presence.there, len(door.room.members), door.limits.open) == ([player_id], 1, 1)
    door.room.receive(b"4 4")
    door.room.flush()
    assert (first.texts, second.texts) == (["3"], ["3", "4"])
    second.go()
    assert (door.presence.there, door.room.age(), door.limits._by_subject) == ([], True, {})


@pytest.mark.parametrize(
    ("error", "close"),
    [
        (Refused(Close.FORBIDDEN), (4503, "forbidden")),
        (Refused(Close.UNKNOWN_SESSION), (4504, "unknown_session")),
        (RuntimeError("a fault of ours"), (4001, "room_unavailable")),
    ],
)
async def test_who_is_not_let_in_is_told_why(
    door: Door, error: Exception, close: tuple[int, str], capsys: pytest.CaptureFixture[str]
) -> None:
    door.entrance.error = error
    socket, visit = door.come()
    visit.receive(door.join())
    visit.receive(PING % 1)
    await settled(lambda: socket.closed)
    assert (socket.closed, socket.texts, door.presence.there) == (close, [], [])
    assert ("visit_failed" in capsys.readouterr().out) == isinstance(error, RuntimeError)


async def test_a_join_that_opens_nothing_closes_at_once_and_asks_nobody(door: Door) -> None:
    async def close_of(first: bytes, **options: Any) -> tuple[int, str] | None:
        socket, visit = door.come(**options)
        visit.receive(first)
        return socket.closed

    assert await close_of(b'{"type": "join"}') == (4501, "invalid_token")
    assert await close_of(b'{"type": "join", "token": "x.y.z"}') == (4501, "invalid_token")
    assert await close_of(encode(Join(token=door.token(life_s=-60)))) == (4502, "expired_token")
    assert await close_of(door.join(), session_id="what") == (4504, "unknown_session")
    assert await close_of(PING % 1) == (4505, "bad_frames")
    assert await close_of(b"x" * 5000) == (4506, "too_large")
    assert door.entrance.asked == []


async def test_a_token_may_have_come_with_the_handshake(door: Door) -> None:
    player_id = PlayerId(uuid4())
    socket, visit = door.come(offered=door.token(player_id))
    visit.receive(b'{"type": "join"}')
    await settled(lambda: visit.room is not None)
    assert (socket.closed, door.presence.there) == (None, [player_id])


async def test_one_token_opens_so_many_connections_and_no_more(door: Door) -> None:
    player_id = PlayerId(uuid4())
    sockets = [(await door.let_in(player_id))[0] for _ in range(2)]
    third, visit = door.come()
    visit.receive(door.join(player_id))
    assert third.closed == (4508, "too_many_connections")
    third.go()
    sockets[0].go()
    await door.let_in(player_id)


async def test_who_does_not_join_in_time_is_closed() -> None:
    door = Door(RealtimeSettings(join_timeout_s=0.02))
    late, _ = door.come()
    prompt, visit = door.come()
    door.entrance.open.clear()
    visit.receive(door.join())
    async with asyncio.timeout(10):
        await late.closing.wait()
    assert (late.closed, prompt.closed) == ((4500, "join_timeout"), None)
    door.entrance.open.set()
    await settled(lambda: visit.room is not None)
    late.go()
    prompt.go()


async def test_a_client_that_takes_nothing_is_written_nothing(door: Door) -> None:
    socket, visit = await door.let_in()
    visit.pause()
    door.room.receive(b"4 4")
    door.room.flush()
    assert socket.texts == ["3"]
    visit.resume()
    assert socket.texts == ["3", "4"]


async def test_who_is_closed_is_not_listened_to_any_more(door: Door) -> None:
    socket, visit = await door.let_in()
    visit.connection.close(Close.LEFT)
    for _ in range(10):
        visit.receive(b"{")
    assert (socket.texts, socket.closed) == (["3"], (4507, "left"))


async def test_the_end_of_the_gateway_ends_joins(door: Door) -> None:
    door.entrance.open.clear()
    _, visit = door.come()
    visit.receive(door.join())
    await settled(lambda: door.entrance.asked)
    await door.visits.close()
    assert (door.visits._joins, visit.room) == (set(), None)


async def test_a_token_that_expires_closes_after_the_grace() -> None:
    door = Door(RealtimeSettings(token_grace_s=0.05))
    socket, visit = door.come()
    visit.receive(encode(Join(token=door.token(life_s=1))))
    await settled(lambda: visit.room is not None)
    async with asyncio.timeout(10):
        await socket.closing.wait()
    assert socket.closed == (4502, "expired_token")
    socket.go()
