"""One answer, two gateway processes: the award reaches the sockets of both, as the same bytes under the same number."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import httpx
from msgspec import Raw
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from baton.demo.bot import Bot
from baton.demo.client import Api
from baton.demo.gateway import join, open_socket
from baton.demo.measure import Latencies, Stopwatch
from baton.demo.recording import Received, Recording
from baton.demo.solvers import SOLVERS
from contracts.frames import Answer, Answered, Presence, decode_event, decode_frame, encode
from contracts.ids import SessionId
from contracts.puzzles import Verdict
from contracts.rooms import PointsAwarded, State, Status
from contracts.talk import Chat, SendChat
from tests.e2e.system import GATEWAYS, System

NAMES = ("Ada", "Ben", "Cleo", "Dev")
RULES = {
    "start_points": 500,
    "award": 5,
    "decay": 1,
    "interval_ms": 1000,
    "countdown_ms": 200,
    "seats": len(NAMES),
    "puzzle_types": ["memory"],
}
WITHIN_S = 30
FrameT = TypeVar("FrameT")


@asynccontextmanager
async def connected(bots: list[Bot], session_id: SessionId) -> AsyncIterator[None]:
    """All bots listen, and have a first snapshot."""
    stopwatch = Stopwatch(len(bots), Latencies())
    async with asyncio.TaskGroup() as group:
        listening = [group.create_task(bot.listen(session_id, stopwatch)) for bot in bots]
        for bot in bots:
            await bot.until(lambda state: True)
        yield
        for task in listening:
            task.cancel()


def has_begun(state: State) -> bool:
    """Everybody has a puzzle."""
    return state.status is Status.ACTIVE and all(player.puzzle is not None for player in state.players)


def awards(bot: Bot) -> list[Received]:
    return [received for received in bot.recording.events if received.type == "points.awarded"]


async def until_awarded(bot: Bot, number: int) -> None:
    """Wait until the bot has heard of so many awards."""
    await bot.until(lambda state: len(awards(bot)) >= number)


async def test_an_award_reaches_the_sockets_of_both_gateways(system: System) -> None:
    async with (
        asyncio.timeout(WITHIN_S * 2),
        Api.open(system.url(GATEWAYS[0])) as one,
        Api.open(system.url(GATEWAYS[1])) as other,
    ):
        # Neighbours sit at different gateways, so every award goes from one to the other.
        bots = [Bot(api, name, "#17bebb", skill=1, speed=1) for name, api in zip(NAMES, [one, other] * 2, strict=True)]
        made = await one.make_team("Otters")
        for bot in bots:
            await bot.join(made.code)
        session = await one.create_session(made.host_token, RULES)
        async with connected(bots, session.session_id):
            assert [system.metric(name, "baton_connections") for name in GATEWAYS] == [2, 2]
            await one.start(session.session_id, made.host_token)
            state = await bots[0].until(has_begun)
            for number, solver in enumerate(bots, 1):
                puzzle = state.players[solver.seated.seat].puzzle
                assert puzzle is not None
                judged = await one.answer(puzzle.puzzle_id, solver.seated.token, SOLVERS[puzzle.type](puzzle.view))
                assert judged.verdict is Verdict.SOLVED
                await asyncio.gather(*(until_awarded(bot, number) for bot in bots))
                [last] = {(awards(bot)[-1].seq, awards(bot)[-1].frame) for bot in bots}
                award = decode_event(last[1]).data
                assert isinstance(award, PointsAwarded)
                assert award.puzzle_id == puzzle.puzzle_id
                assert award.from_player_id == solver.seated.player_id
                assert award.to_player_id == bots[number % len(bots)].seated.player_id
            ended = await one.end(session.session_id, made.host_token)
            for bot in bots:
                await bot.until(lambda state: state.status is Status.FINISHED)
            final = await one.session(ended.session_id, made.host_token)
            await asyncio.gather(*(bot.reached(final.seq) for bot in bots))
    for bot in bots:
        assert bot.recording.faults == []
        assert bot.breaks == []
        assert bot.recording.replayed(final.seq) == final.state
        frames = {received.seq: received.frame for received in bot.recording.events}
        assert list(frames) == list(range(min(frames), final.seq + 1))
        log = system.query(
            "SELECT seq, frame FROM points.session_events WHERE session_id = %(session)s AND seq >= %(first)s",
            {"session": session.session_id, "first": min(frames)},
        )
        assert frames == {row["seq"]: bytes(row["frame"]).decode() for row in log}


async def heard(socket: ClientConnection, kind: type[FrameT]) -> FrameT:
    """The next frame of that kind."""
    while True:
        frame = decode_frame(await socket.recv())
        if isinstance(frame, kind):
            return frame


async def test_who_answers_over_a_socket_and_what_they_say_is_known_at_the_other_gateway(system: System) -> None:
    async with asyncio.timeout(WITHIN_S), Api.open(system.url(GATEWAYS[0])) as api:
        made = await api.make_team("Otters")
        ada, ben = Bot(api, "Ada", "#17bebb", skill=1, speed=1), Bot(api, "Ben", "#e4572e", skill=1, speed=1)
        for bot in (ada, ben):
            await bot.join(made.code)
        session = await api.create_session(made.host_token, RULES)
        url = f"{system.url(GATEWAYS[1]).replace('http', 'ws', 1)}/ws/game/{session.session_id}"
        async with connected([ada], session.session_id), open_socket(url) as socket:
            await join(socket, ben.seated.token, Recording())
            while len((presence := await heard(socket, Presence)).people) < 2:
                pass
            assert {person.subject for person in presence.people} == {ada.seated.player_id, ben.seated.player_id}
            await api.start(session.session_id, made.host_token)
            state = await ada.until(has_begun)
            puzzle = state.players[ben.seated.seat].puzzle
            assert puzzle is not None
            answer = Raw(encode(SOLVERS[puzzle.type](puzzle.view)))
            await socket.send(encode(Answer(id=7, puzzle_id=puzzle.puzzle_id, answer=answer)).decode())
            answered = await heard(socket, Answered)
            assert (answered.id, answered.status) == (7, 200)
            assert json.loads(bytes(answered.body))["verdict"] == Verdict.SOLVED
            await until_awarded(ada, 1)
            await socket.send(encode(SendChat(text="Your turn!")).decode())
            chat = await heard(socket, Chat)
            assert (chat.player_id, chat.text) == (ben.seated.player_id, "Your turn!")
        assert ada.recording.faults == []


async def close_of(socket: ClientConnection) -> int | None:
    """The code with which the gateway closes, after whatever it says before."""
    with contextlib.suppress(ConnectionClosed):
        async for _ in socket:
            pass
    return socket.close_code


async def test_a_removed_player_is_out_at_both_gateways_at_once_and_stays_out(system: System) -> None:
    async with asyncio.timeout(WITHIN_S), Api.open(system.url(GATEWAYS[0])) as api, httpx.AsyncClient() as http:
        made = await api.make_team("Otters")
        ada, ben = Bot(api, "Ada", "#17bebb", skill=1, speed=1), Bot(api, "Ben", "#e4572e", skill=1, speed=1)
        for bot in (ada, ben):
            await bot.join(made.code)
        session = await api.create_session(made.host_token, RULES)
        token, url = ben.seated.token, f"/ws/game/{session.session_id}"
        sockets = [system.url(name).replace("http", "ws", 1) + url for name in GATEWAYS]
        stream = f"{system.url(GATEWAYS[1])}/sse/game/{session.session_id}"
        bens = {"Authorization": f"Bearer {token}"}
        async with (
            connected([ada], session.session_id),
            open_socket(sockets[0]) as here,
            open_socket(sockets[1]) as there,
            http.stream("GET", stream, headers=bens, timeout=WITHIN_S) as listening,
        ):
            for socket in (here, there):
                await join(socket, token, Recording())
                await socket.recv()
            assert listening.status_code == 200
            member = f"{api.points_url}/teams/{made.team_id}/players/{ben.seated.player_id}"
            removed = await http.delete(member, headers={"Authorization": f"Bearer {made.host_token}"})
            assert removed.status_code == 204
            assert [await close_of(socket) for socket in (here, there)] == [4507, 4507]
            lines = [line async for line in listening.aiter_lines()]
            assert lines[-3:-1] == ["event: close", 'data: {"code":4507,"reason":"left"}']
            for socket_url in sockets:
                async with open_socket(socket_url) as socket:
                    await join(socket, token, Recording())
                    assert await close_of(socket) == 4507
            assert (await http.get(stream, headers=bens)).json()["code"] == "left"
            again = await http.post(f"{api.points_url}/tokens/refresh", headers=bens)
            assert (again.status_code, again.json()["code"]) == (403, "left_team")
            await ada.until(lambda state: [player.name for player in state.players] == ["Ada"])
