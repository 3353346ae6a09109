"""One answer, two gateway processes: the award reaches the sockets of both, as the same bytes under the same number."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from baton.demo.bot import Bot
from baton.demo.client import Api
from baton.demo.measure import Latencies, Stopwatch
from baton.demo.recording import Received
from baton.demo.solvers import SOLVERS
from contracts.frames import decode_event
from contracts.ids import SessionId
from contracts.puzzles import Verdict
from contracts.rooms import PointsAwarded, State, Status
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
