"""Games of bots over the public interface, in a thread of their own, while the test breaks something."""

import asyncio
import contextlib
import threading
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec

from baton.demo.client import Api
from baton.demo.measure import Latencies
from baton.demo.recording import Recording
from baton.demo.replies import Judged, Session
from baton.demo.team import Gate, Report, Team
from contracts.ids import PlayerId, SessionId
from contracts.rooms import State
from tests.e2e.edge import Edge
from tests.e2e.system import System, wait_for

SKILL, FAST, SLOW = 0.85, 6.0, 3.0
MOST_S = 60.0
"""A game that lasts longer is ended by its host."""
PLAYERS = 3
"""Of each team."""
MOST_TICKS = 100
"""Of one request to the operator's endpoint."""
RULES: dict[str, Any] = {
    "start_points": 300,
    "award": 4,
    "penalty": 1,
    "decay": 3,
    "interval_ms": 290,
    "countdown_ms": 300,
    "seats": PLAYERS,
    "puzzle_types": ["concentration", "memory", "multitasking"],  # a walk through a spatial one takes its time
}
"""Rules under which a game lasts, on the slowest machine, until it is wound down."""


class Accepted(NamedTuple):
    """An answer that was accepted, and whose."""

    session_id: SessionId
    player_id: PlayerId
    judged: Judged


class Games:
    """Some teams' games at once, through one address before both gateways. They begin with the block."""

    def __init__(self, system: System, teams: int = 3, speed: float = FAST) -> None:
        self._system = system
        self._speed = speed
        self._count = teams
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="games")
        self._trouble: BaseException | None = None
        self._api: Api | None = None
        self.teams: list[Team] = []

    @property
    def retries(self) -> int:
        """How often a bot had to repeat a request."""
        return 0 if self._api is None else self._api.tally.retries

    @property
    def breaks(self) -> list[str]:
        """Why bots had to connect again."""
        return [words for team in self.teams for bot in team.bots for words in bot.breaks]

    @property
    def reports(self) -> list[Report]:
        return [team.report for team in self.teams]

    @property
    def session_ids(self) -> list[SessionId]:
        return [state.session_id for team in self.teams if (state := team.bots[0].recording.state) is not None]

    def accepted(self) -> list[Accepted]:
        """All answers that the service said it has accepted, so far."""
        return [
            Accepted(session_id, bot.seated.player_id, judged)
            for session_id, team in zip(self.session_ids, self.teams, strict=True)
            for bot in team.bots
            for judged in list(bot.judged.values())
        ]

    def recordings(self, session_id: SessionId) -> list[Recording]:
        """What each client of a session saw."""
        return [bot.recording for bot in self._team(session_id).bots]

    def final_state(self, session_id: SessionId) -> State:
        """The public state, as points tells it."""
        url = f"{self._system.url('points')}/sessions/{session_id}"
        headers = {"Authorization": f"Bearer {self._team(session_id).bots[0].seated.token}"}
        answer = self._system.http.get(url, headers=headers).raise_for_status()
        return msgspec.json.decode(answer.content, type=Session).state

    def wait_for_answers(self, more: int) -> None:
        """Wait until each team has had so many more answers accepted than now."""
        before = self._answers()

        def enough() -> bool:
            self._fail_on_trouble()
            return all(now >= then + more for now, then in zip(self._answers(), before, strict=True))

        wait_for(enough, f"{more} more answers of each team, beyond {before}", within=40)

    def wind_down(self, leaving: int = 9) -> None:
        """Let an operator take so many ticks that the best-off player of each team is left with so many points."""
        http, points = self._system.http, self._system.url("points")
        for session_id, team in zip(self.session_ids, self.teams, strict=True):
            headers = {"Authorization": f"Bearer {team.bots[0].seated.token}"}
            told = http.get(f"{points}/sessions/{session_id}/points", headers=headers).raise_for_status().json()
            ticks = (max(player["points"] for player in told["players"]) - leaving) // RULES["decay"]
            http.post(
                f"{points}/points/decay",
                headers={"X-Operator-Key": self._system.operator_key},
                json={"session_id": str(session_id), "ticks": min(MOST_TICKS, max(0, ticks))},
            ).raise_for_status()

    def finish(self) -> None:
        """Wait for the end of all games, and of the bots' own audit."""
        self._thread.join(MOST_S + 30)
        assert not self._thread.is_alive(), f"the games hang: {[team.phase for team in self.teams]}"
        self._fail_on_trouble()

    def _team(self, session_id: SessionId) -> Team:
        [team] = [team for known, team in zip(self.session_ids, self.teams, strict=True) if known == session_id]
        return team

    def _answers(self) -> list[int]:
        return [sum(len(bot.judged) for bot in team.bots) for team in self.teams]

    def _fail_on_trouble(self) -> None:
        if self._trouble is not None:
            raise AssertionError("the bots failed") from self._trouble
        faults = [fault for report in self.reports for fault in report.faults]
        assert not faults, faults

    def _all_play(self) -> bool:
        self._fail_on_trouble()
        return bool(self.teams) and all(team.phase == "playing" for team in self.teams)

    def _run(self) -> None:
        try:
            asyncio.run(self._play())
        except asyncio.CancelledError:
            return  # the test has failed, and says why
        except BaseException as error:  # noqa: BLE001 (raised again in the thread of the test)
            self._trouble = error

    async def _play(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        async with Edge(self._system.gateways) as edge, Api.open(edge.url) as api:
            self._api = api
            gate = Gate(self._count)
            self.teams = [
                Team(api, f"Team {number}", RULES, Latencies(), skill=SKILL, speed=self._speed)
                for number in range(1, self._count + 1)
            ]
            await asyncio.gather(*(team.run(gate, MOST_S) for team in self.teams))

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            wait_for(self._all_play, "all teams play")
        except BaseException:
            self._abort()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._abort()

    def _abort(self) -> None:
        if self._thread.is_alive() and self._loop is not None and self._task is not None:
            with contextlib.suppress(RuntimeError):  # it has just come to its end by itself
                self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(30)
