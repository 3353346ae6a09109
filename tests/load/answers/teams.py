"""Games that are being played: made over the public interface, long enough that nobody is out."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from baton.demo.client import Api
from contracts.frames import Join, encode
from contracts.ids import SessionId

SEATS = 4
AT_ONCE = 8
DEALT_WITHIN_S = 120.0
RULES = {
    "start_points": 10_000,
    "interval_ms": 3_600_000,
    "countdown_ms": 0,
    # Those whose answers are worked out in no time: a load client that searches paths would measure itself.
    "puzzle_types": ["concentration", "memory", "multitasking"],
}


@dataclass(frozen=True, slots=True)
class Member:
    """A player and what opens the player's seat."""

    player_id: str
    token: str


@dataclass(frozen=True, slots=True)
class Team:
    """A team in its game."""

    session_id: SessionId
    host_token: str
    members: Sequence[Member]

    def lines(self) -> str:
        """The team as the load client reads it."""
        return "".join(
            f"/ws/game/{self.session_id}\t{encode(Join(token=member.token)).decode()}\t{member.player_id}\t{member.token}\n"
            for member in self.members
        )


@asynccontextmanager
async def playing(url: str, count: int) -> AsyncIterator[list[Team]]:
    """So many games, running to the end of the block. `url` is the gateway's."""
    async with Api.open(url) as api:
        turns = asyncio.Semaphore(AT_ONCE)

        async def begin(number: int) -> Team:
            async with turns:
                return await _begin(api, number)

        async def end(team: Team) -> None:
            async with turns:
                await api.end(team.session_id, team.host_token)

        teams = await asyncio.gather(*map(begin, range(count)))
        try:
            yield teams
        finally:
            await asyncio.gather(*map(end, teams))


async def _begin(api: Api, number: int) -> Team:
    made = await api.make_team(f"Team {number}")
    seated = [await api.join(made.code, f"Player {seat}", "#e4572e") for seat in range(SEATS)]
    session = await api.create_session(made.host_token, RULES)
    await api.start(session.session_id, made.host_token)
    async with asyncio.timeout(DEALT_WITHIN_S):
        while not all(  # noqa: ASYNC110 (it is another process that deals)
            one.puzzle for one in (await api.session(session.session_id, made.host_token)).state.players
        ):
            await asyncio.sleep(0.02)
    return Team(session.session_id, made.host_token, [Member(str(one.player_id), one.token) for one in seated])


def write(path: Path, teams: Sequence[Team]) -> None:
    """Leave the teams for the load client."""
    path.write_text("".join(team.lines() for team in teams))
