"""The socket client against gateways that behave, and that do not, over real WebSockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from baton.demo.gateway import GameSocket, TurnedAwayError, fresh_snapshot
from baton.demo.recording import Recording
from contracts.frames import NumberedEvent, ToClient
from tests.unit.baton.demo.games import LOG, event_frame, snapshot_frame, state_at, tick_frame, welcome_frame

Script = Callable[[ServerConnection, dict[str, Any]], Coroutine[Any, Any, None]]


@asynccontextmanager
async def gateway(*scripts: Script) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """A server that meets each new connection with the next script. Gives its address and the joins it was sent."""
    joins: list[dict[str, Any]] = []

    async def meet(connection: ServerConnection) -> None:
        join = json.loads(await connection.recv())
        joins.append(join)
        await scripts[len(joins) - 1](connection, join)

    async with serve(meet, "127.0.0.1", 0, subprotocols=["baton.v1"]) as server:  # type: ignore[list-item]  # a str
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/ws/game/x", joins


async def listen(url: str, recording: Recording, until_seq: int = len(LOG)) -> GameSocket:
    """Run a client until it has event `until_seq`."""
    done = asyncio.Event()

    def hear(_: NumberedEvent | ToClient, __: float) -> None:
        if (recording.seq or 0) >= until_seq:
            done.set()

    socket = GameSocket(url, "secret", recording, hear)
    async with asyncio.timeout(10):
        running = asyncio.create_task(socket.run())
        waiting = asyncio.create_task(done.wait())
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if running.done():
            await running
        running.cancel()
    return socket


async def begin(connection: ServerConnection, seq: int) -> None:
    await connection.send(welcome_frame())
    await connection.send(snapshot_frame(seq))


async def send_events(connection: ServerConnection, first: int, last: int) -> None:
    for seq in range(first, last + 1):
        await connection.send(event_frame(seq))


def closing(code: int, *, after: int) -> Script:
    async def script(connection: ServerConnection, _: dict[str, Any]) -> None:
        await begin(connection, 3)
        await send_events(connection, 4, after)
        await connection.close(code, "for a reason")

    return script


async def recovering(connection: ServerConnection, join: dict[str, Any]) -> None:
    await connection.send(welcome_frame(recovered=True))
    await send_events(connection, join["seq"] + 1, len(LOG))
    await connection.wait_closed()


async def test_a_newer_token_is_sent_at_once_and_used_from_then_on() -> None:
    heard: list[dict[str, Any]] = []

    async def takes_a_token(connection: ServerConnection, _: dict[str, Any]) -> None:
        await begin(connection, 3)
        heard.append(json.loads(await connection.recv()))
        await connection.close(1012)

    async with gateway(takes_a_token, recovering) as (url, joins), asyncio.timeout(10):
        recording, joined, done = Recording(), asyncio.Event(), asyncio.Event()

        def hear(_: NumberedEvent | ToClient, __: float) -> None:
            joined.set()
            if (recording.seq or 0) >= len(LOG):
                done.set()

        socket = GameSocket(url, "secret", recording, hear)
        running = asyncio.create_task(socket.run())
        await joined.wait()
        await socket.refresh("newer")
        await done.wait()
        running.cancel()
    assert heard == [{"type": "refresh", "token": "newer"}]
    assert [join["token"] for join in joins] == ["secret", "newer"]


@pytest.mark.parametrize("code", [1012, 4000, 4002])
async def test_a_client_that_is_asked_to_comes_back_and_misses_nothing(code: int) -> None:
    recording = Recording()
    async with gateway(closing(code, after=7), recovering) as (url, joins):
        socket = await listen(url, recording)
    assert joins == [
        {"type": "join", "token": "secret", "seq": None, "epoch": None},
        {"type": "join", "token": "secret", "seq": 7, "epoch": "e1"},
    ]
    assert recording.faults == []
    assert recording.state == state_at(len(LOG))
    assert socket.breaks == [f"{code} for a reason"]


@pytest.mark.parametrize("code", [1000, 4502, 4503])
async def test_a_client_that_is_turned_away_stays_away(code: int) -> None:
    async with gateway(closing(code, after=4)) as (url, joins):
        with pytest.raises(TurnedAwayError, match=f"closed with {code} for a reason"):
            await listen(url, Recording())
    assert len(joins) == 1


async def test_a_connection_that_breaks_without_a_close_is_made_again() -> None:
    async def breaking(connection: ServerConnection, _: dict[str, Any]) -> None:
        await begin(connection, 3)
        await send_events(connection, 4, 5)
        connection.transport.abort()

    recording = Recording()
    async with gateway(breaking, recovering) as (url, _):
        socket = await listen(url, recording)
    assert recording.faults == []
    assert socket.breaks == ["1006"]


async def test_a_gap_is_noted_and_the_client_comes_back_for_what_it_misses() -> None:
    async def losing(connection: ServerConnection, _: dict[str, Any]) -> None:
        await begin(connection, 3)
        await connection.send(event_frame(4))
        await connection.send(event_frame(6))
        await connection.wait_closed()

    recording = Recording()
    async with gateway(losing, recovering) as (url, joins):
        socket = await listen(url, recording)
    assert recording.faults == ["sequence: after 4 came 6 (session.started)"]
    assert joins[1]["seq"] == 4
    assert socket.breaks == ["out of step"]
    assert recording.state == state_at(len(LOG))


async def test_a_fresh_snapshot_is_the_state_as_of_now() -> None:
    async def snapshot(connection: ServerConnection, _: dict[str, Any]) -> None:
        await begin(connection, 9)
        await connection.send(tick_frame(9, 1, {}))
        await connection.wait_closed()

    async with gateway(closing(1012, after=0), snapshot) as (url, joins):
        first = await fresh_snapshot(url, "secret")
        second = await fresh_snapshot(url, "secret")
    assert (first.seq, first.state) == (3, state_at(3))
    assert (second.seq, second.state) == (9, state_at(9))
    assert all(join["seq"] is None for join in joins)


async def test_whoever_is_turned_away_has_no_fresh_snapshot() -> None:
    async def refusing(connection: ServerConnection, _: dict[str, Any]) -> None:
        await connection.close(4503, "forbidden")

    async with gateway(refusing) as (url, _):
        with pytest.raises(TurnedAwayError, match="4503"):
            await fresh_snapshot(url, "secret")
