"""One team of bots, from the making of the team to the audit of its finished game."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from msgspec import structs

from baton.demo import audit
from baton.demo.bot import Bot
from baton.demo.client import Api, ApiError, UnreachableError
from baton.demo.gateway import TurnedAwayError, fresh_snapshot
from baton.demo.measure import Latencies, Stopwatch
from baton.demo.pace import Move
from baton.demo.replies import Results, Session, TeamMade
from baton.demo.tokens import keep_fresh
from contracts.ids import SessionId
from contracts.rooms import Status
from contracts.rules import Rules

NAMES = (
    "Ada", "Ben", "Cleo", "Dev", "Eva", "Finn", "Gia", "Hugo", "Ida", "Jon", "Kim", "Leo", "Mia", "Noa", "Oto", "Pia",
)  # fmt: skip
COLOURS = (
    "#e4572e", "#17bebb", "#ffc914", "#76b041", "#b388eb", "#f78fb3", "#4ea8de", "#ff9f1c",
    "#c5d86d", "#ef798a", "#80ced7", "#d4a373", "#9bf6ff", "#ffadad", "#caffbf", "#bdb2ff",
)  # fmt: skip
EXPECTED_TROUBLE = (ApiError, UnreachableError, TurnedAwayError, TimeoutError)


class Gate:
    """Lets all through when the last has arrived, so that all games run at the same time.

    Before it, some teams at a time gather, in `turn`: people do not all join in the same millisecond either.
    """

    def __init__(self, expected: int, at_a_time: int = 10) -> None:
        self.turn = asyncio.Semaphore(at_a_time)
        self._missing = expected
        self._open = asyncio.Event()

    def arrive(self) -> None:
        self._missing -= 1
        if self._missing <= 0:
            self._open.set()

    async def wait(self) -> None:
        await self._open.wait()


@dataclass
class Report:
    """What is known of one team's game. `faults` is empty where all is as it should be."""

    name: str
    players: int
    results: Results | None = None
    rules: Rules | None = None
    faults: list[str] = field(default_factory=list)
    sequence_faults: int = 0
    replays_equal: int = 0
    too_late: int = 0
    received: int = 0
    ticks: int = 0
    breaks: list[str] = field(default_factory=list)
    moves: Counter[Move] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)


class Team:
    """Plays one game. `bots` and `report` may be looked at all the while."""

    connect_within_s: ClassVar[float] = 60.0
    end_within_s: ClassVar[float] = 20.0

    def __init__(
        self, api: Api, name: str, rules: dict[str, Any], latencies: Latencies, *, skill: float, speed: float
    ) -> None:
        seats = rules.get("seats", Rules().seats)
        count = seats if isinstance(seats, int) and 1 <= seats <= len(NAMES) else Rules().seats
        self.name = name
        self.bots = [
            Bot(api, name, colour, skill=skill, speed=speed)
            for name, colour in zip(NAMES[:count], COLOURS, strict=False)
        ]
        self.report = Report(name, count)
        self.phase = "waiting"
        self.final: Session | None = None
        self._api = api.another()
        self._rules = rules
        self._stopwatch = Stopwatch(count, latencies)
        self._made: TeamMade | None = None
        self._session_id: SessionId | None = None

    async def run(self, gate: Gate, max_seconds: float) -> None:
        """From nothing to the report. What goes wrong stands in the report, and no other team hears of it."""
        arrived = False
        try:
            async with asyncio.TaskGroup() as group:
                async with gate.turn:
                    session_id = await self._set_up()
                    listeners = [group.create_task(bot.listen(session_id, self._stopwatch)) for bot in self.bots]
                    listeners.append(group.create_task(keep_fresh(self._api, self._host_token, self._take_token)))
                    await self._get_ready(session_id)
                gate.arrive()
                arrived = True
                await gate.wait()
                await self._play(session_id, max_seconds)
                await self._audit(session_id)
                for listener in listeners:
                    listener.cancel()
        except* EXPECTED_TROUBLE as trouble:
            self.report.faults += [f"{type(error).__name__}: {error}" for error in _leaves(trouble)]
        finally:
            if not arrived:
                gate.arrive()
            self.phase = "done" if self.report.results else "failed"
            self._collect()

    async def give_up(self) -> None:
        """End the game now, as its host, if it can be done within 2 seconds."""
        if self._made is not None and self._session_id is not None and self.report.results is None:
            with contextlib.suppress(*EXPECTED_TROUBLE):
                async with asyncio.timeout(2.0):
                    await self._api.end(self._session_id, self._made.host_token)

    async def _set_up(self) -> SessionId:
        """The first bot joins the team before there is a session, the others join it in the lobby."""
        self.phase = "joining"
        made = self._made = await self._api.make_team(self.name)
        await self.bots[0].join(made.code)
        session = await self._api.create_session(made.host_token, self._rules)
        self.report.rules = session.state.rules
        self._session_id = session.session_id
        for bot in self.bots[1:]:
            await bot.join(made.code)
        return session.session_id

    async def _get_ready(self, session_id: SessionId) -> None:
        try:
            async with asyncio.timeout(self.connect_within_s):
                everybody = len(self.bots)
                await asyncio.gather(*(bot.get_ready(session_id, everybody) for bot in self.bots))
        except TimeoutError:
            told = {bot.name: bot.recording.seq for bot in self.bots}
            raise TimeoutError(
                f"not ready within {self.connect_within_s:.0f} s; sockets were told up to {told}"
            ) from None

    async def _play(self, session_id: SessionId, max_seconds: float) -> None:
        self.phase = "playing"
        await self._api.start(session_id, self._host_token)
        players = [asyncio.create_task(bot.play()) for bot in self.bots]
        try:
            try:
                async with asyncio.timeout(max_seconds):
                    await self._all_finished(players)
            except TimeoutError:
                # It may have ended by itself a moment ago.
                with contextlib.suppress(ApiError):
                    await self._api.end(session_id, self._host_token)
                async with asyncio.timeout(self.end_within_s):
                    await self._all_finished(players)
        except TimeoutError:
            raise TimeoutError(
                f"no session.finished within {self.end_within_s:.0f} s after the host ended it"
            ) from None
        finally:
            for player in players:
                player.cancel()

    async def _all_finished(self, players: Sequence[asyncio.Task[None]]) -> None:
        """Wait for the end on every socket. Raises what a bot's play raised."""
        ends = [asyncio.ensure_future(bot.until(lambda state: state.status is Status.FINISHED)) for bot in self.bots]
        try:
            await asyncio.gather(*ends, *(asyncio.shield(player) for player in players))
        finally:
            for end in ends:
                end.cancel()

    async def _audit(self, session_id: SessionId) -> None:
        self.phase = "checking"
        report = self.report
        final = self.final = await self._api.session(session_id, self._host_token)
        try:
            async with asyncio.timeout(self.end_within_s):
                await asyncio.gather(*(bot.reached(final.seq) for bot in self.bots))
        except TimeoutError:
            report.faults.append(f"not every socket was told all {final.seq} events within {self.end_within_s:.0f} s")
        for bot in self.bots:
            await self._compare(bot, final)
        report.results = await self._api.results(session_id, self._host_token)
        log = list(audit.facts(self.bots[0].recording))
        report.faults += audit.payment_faults(log)
        report.faults += audit.result_differences(report.results, final.state, log)
        for bot in self.bots:
            player = next(p for p in final.state.players if p.player_id == bot.seated.player_id)
            too_late, lost = audit.unheard_answers(bot.judged, log, audit.out_at(final.state, player))
            report.too_late += too_late
            report.faults += [f"{bot.name}: {words}" for words in lost]

    async def _compare(self, bot: Bot, final: Session) -> None:
        """The bot's replay with what HTTP says, and with what a fresh socket is told."""
        url = self._api.socket_url(final.session_id)
        fresh = await fresh_snapshot(url, bot.seated.token, self.connect_within_s)
        differences = [
            f"{bot.name}'s events replayed differ from {source}: {where}"
            for source, seq, state in (
                ("GET /sessions/{id}", final.seq, final.state),
                ("a fresh socket's snapshot", fresh.seq, fresh.state),
            )
            if seq is not None and state is not None
            if (where := audit.replay_difference(bot.recording, seq, state))
        ]
        self.report.faults += differences + [f"{bot.name}'s fresh socket: {fault}" for fault in fresh.faults]
        self.report.replays_equal += not differences

    def _collect(self) -> None:
        report = self.report
        report.events.update(received.type for received in self.bots[0].recording.events)
        for bot in self.bots:
            recording = bot.recording
            report.faults += [f"{bot.name}: {fault}" for fault in recording.faults]
            report.sequence_faults += sum(fault.startswith("sequence:") for fault in recording.faults)
            report.received += len(recording.events)
            report.ticks += recording.ticks
            report.breaks += bot.breaks
            report.moves.update(bot.tally)
            report.events["answer.solved"] += sum(j.verdict.value == "solved" for j in bot.judged.values())
            report.events["answer.failed"] += sum(j.verdict.value == "failed" for j in bot.judged.values())

    @property
    def _host_token(self) -> str:
        if self._made is None:
            raise RuntimeError(f"{self.name} was never made")
        return self._made.host_token

    async def _take_token(self, token: str) -> None:
        if self._made is not None:
            self._made = structs.replace(self._made, host_token=token)


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
