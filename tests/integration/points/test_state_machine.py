"""The real service on its real database, beside the plain reference model, in whatever order things come.

Hypothesis chooses rules, answers, and what happens between an answer and its taking effect: events are late, doubled
and out of order; the worker settles at any moment, early and late and by an old position; the host ends; operators
take ticks. At the end of each game everything that is stored is what the model says, and what its own log gives.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.events import PuzzleEvent
from contracts.ids import PuzzleId, SessionId
from contracts.rooms import EndReason, Status, VoidReason
from services.kit.database import Database, Transaction
from services.kit.streams import Outcome
from services.points.domain.game import Game
from services.points.domain.seats import values_of
from services.points.domain.views import points_of
from services.points.repository import ledger, saving, teams
from services.points.service import answers, games, replaying, settling
from tests.factories import Puzzles, lobby
from tests.random_games import FOR_EVER
from tests.reference_model import Line, Reference, Setting, What

DEFAULT_GAMES = 40
GAMES = int(os.environ.get("STATE_MACHINE_GAMES", DEFAULT_GAMES))
"""The same ones each time; where another number is asked for, others."""
STEPS = 24
CORNERS = ("award", "penalty", "tick", VoidReason.SOLVER_OUT, VoidReason.SESSION_OVER, str(EndReason.ENDED_BY_HOST))
"""What games have to hold, or nothing was shown."""
T = TypeVar("T")


class World:
    """The database and the loop that all games share."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._database = Database(url, "baton_points", pool_size=1)
        self._connection = self._runner.run(self._connect())
        self.games = 0
        self.seen: Counter[str] = Counter()

    async def _connect(self) -> AsyncConnection:
        return await self._database.engine.connect()

    def run(self, use: Callable[[Transaction], Awaitable[T]]) -> T:
        """What `use` returns, in a transaction of its own; on one connection, since many are made."""

        async def run() -> T:
            async with self._connection.begin():
                return await use(Transaction(self._connection))

        return self._runner.run(run())

    def close(self) -> None:
        self._runner.run(self._connection.close())
        self._runner.run(self._database.close())
        self._runner.close()


class Session(RuleBasedStateMachine):
    """One game. `now` is the clock of both services; `log` is what happened, whether points has heard of it or not."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.settled = 0
        self.log: list[Line] = []
        self.events: list[PuzzleEvent] = []
        self.delivered = 0
        self.end_at: int | None = None
        self.ticks: list[int] = []
        self.positions: list[tuple[int, int]] = []

    @initialize(
        players=st.sampled_from([4, 3, 2, 1]),
        start_points=st.sampled_from([15, 5, 2, 1]),
        decay=st.sampled_from([1, 1, 2, 7]),
        award=st.sampled_from([0, 1, 5]),
        penalty=st.sampled_from([0, 1, 50]),
        next_seat=st.booleans(),
        starts_at=st.sampled_from([0, 700]),
        begun_in_time=st.sampled_from([True, True, False]),
    )
    def begin(self, next_seat: bool, begun_in_time: bool, **chosen: int) -> None:
        self.setting = Setting(interval_ms=1_000, next_seat=next_seat, **chosen)
        created = lobby(
            self.setting.players,
            countdown_ms=self.setting.starts_at,
            start_points=self.setting.start_points,
            decay=self.setting.decay,
            interval_ms=self.setting.interval_ms,
            award=self.setting.award,
            penalty=self.setting.penalty,
            award_target="next_seat" if next_seat else "next_active",
        )
        self.session_id = created.session_id
        self.players = [seat.player_id for seat in created.seats]
        self.puzzles = Puzzles(self.session_id)

        async def store(transaction: Transaction) -> None:
            await teams.insert_team(transaction, created.team_id, created.team_id.hex, created.team_name, 0)
            await saving.create_game(transaction, created)

        self.world.run(store)
        self.world.run(lambda transaction: self._change(transaction, lambda game: game.start(0)))
        self.world.games += 1
        if begun_in_time:
            self.now = self.settled = self.setting.starts_at
            assert self._settle(self.now, 0)

    async def _change(self, transaction: Transaction, change: Callable[[Game], None]) -> None:
        game = await games.lock(transaction, self.session_id)
        change(game)
        await games.keep(transaction, game)

    @rule(intervals=st.integers(0, 3), beside=st.sampled_from([0, 0, -1, 1, 400]))
    def time_passes(self, intervals: int, beside: int) -> None:
        """To an instant at which the decay takes something, or beside one."""
        since = max(0, self.now - self.setting.starts_at) // self.setting.interval_ms
        instant = self.setting.starts_at + (since + intervals) * self.setting.interval_ms + beside
        self.now = max(self.now, instant)

    @precondition(lambda self: not self._ended_before_the_start)
    @rule(
        answered=st.lists(
            st.tuples(
                st.integers(0, 3),
                st.sampled_from([What.SOLVED, What.SOLVED, What.SOLVED, What.FAILED, What.EXPIRED]),
                st.sampled_from([0, 1, 150, 499, 999, 1_000]),
            ),
            min_size=1,
            max_size=6,
        )
    )
    def players_answer(self, answered: list[tuple[int, What, int]]) -> None:
        """The puzzle service has judged it. Points will hear of it, some time."""
        self.now = max(self.now, self.setting.starts_at)
        for player, what, pause in answered:
            self.now += pause
            self._answer(player % self.setting.players, what)

    def _answer(self, place: int, what: What) -> None:
        make: dict[What, Callable[..., PuzzleEvent]] = {
            What.SOLVED: self.puzzles.solved,
            What.FAILED: self.puzzles.failed,
            What.EXPIRED: self.puzzles.expired,
        }
        puzzle_id = PuzzleId(uuid4())
        self.events.append(make[what](self.players[place], self.now, puzzle_id=puzzle_id))
        self.log.append(Line(self.now, what, place, name=str(puzzle_id)))

    @property
    def _ended_before_the_start(self) -> bool:
        return self.end_at is not None and self.end_at < self.setting.starts_at

    @precondition(lambda self: self.delivered < len(self.events))
    @rule(count=st.integers(1, 4), times=st.integers(1, 3))
    def events_arrive(self, count: int, times: int) -> None:
        for event in self.events[self.delivered : self.delivered + count]:
            assert self._apply(event) is Outcome.DONE
            self.delivered += 1
            self.settled = max(self.settled, event.at)
            for _ in range(times - 1):
                assert self._apply(event) is Outcome.DUPLICATE

    def _apply(self, event: PuzzleEvent) -> Outcome:
        return self.world.run(lambda transaction: answers.apply(transaction, event))

    @precondition(lambda self: self.events)
    @rule(which=st.integers(0, 40))
    def an_event_comes_at_the_wrong_time(self, which: int) -> None:
        """One that took effect long ago, or one whose predecessor is still on its way: nothing happens."""
        place = which % len(self.events)
        if place != self.delivered:
            expected = Outcome.DUPLICATE if place < self.delivered else Outcome.EARLY
            assert self._apply(self.events[place]) is expected

    @rule(ticks=st.sampled_from([None, None, 1, 2, 30]))
    def the_worker_settles(self, ticks: int | None) -> None:
        """Up to now, for which the puzzle service vouches: whatever is answered from here on is later."""
        if ticks is not None:
            self._ask_for_ticks(ticks)
        self.positions.append((self.now, len(self.events)))
        handled = self.delivered == len(self.events)
        assert self._settle(*self.positions[-1]) is handled
        if handled:
            self.settled = self.now
            self.log += [Line(self.now, What.TICKS, ticks=ticks) for ticks in self.ticks]
            self.ticks.clear()
            self._compare_points()
        self.now += 1

    @precondition(lambda self: self.positions and not self.ticks)
    @rule(which=st.integers(0, 40))
    def a_worker_that_slept_settles(self, which: int) -> None:
        """By a position that is not the newest any more."""
        until, version = self.positions[which % len(self.positions)]
        assert self._settle(until, version) is (self.delivered >= version)
        self.settled = max(self.settled, until if self.delivered >= version else 0)

    def _settle(self, until: int, version: int) -> bool:
        return self.world.run(lambda transaction: settling.settle(transaction, self.session_id, until, version))

    def _ask_for_ticks(self, ticks: int) -> None:
        """An operator does. They are taken by the next settling that may do anything."""
        _, sessions = self.world.run(lambda transaction: settling.request_ticks(transaction, self.session_id, ticks))
        self.ticks += [ticks] * sessions  # none where the game is not known to be played

    @precondition(lambda self: self.end_at is None)
    @rule(sure=st.sampled_from([False, False, False, True]))
    def the_host_ends(self, sure: bool) -> None:
        if sure:
            self.now += 1  # which of an answer and an end at one millisecond came first, only the clock can say
            self.end_at = self.now
            self.world.run(lambda transaction: self._change(transaction, lambda game: game.end(self.end_at or 0)))
            self.now += 1

    def _reference(self) -> Reference:
        log = sorted(self.log, key=lambda line: (line.at, line.what is What.TICKS))
        return Reference(self.setting, log, self.end_at).play()

    def _compare_points(self) -> None:
        if self._ended_before_the_start or self.now < self.setting.starts_at:
            return
        game = self.world.run(lambda transaction: games.get(transaction, self.session_id))
        reference = self._reference()
        assert [points_of(game, seat, self.now) for seat in game.seats] == reference.points_at(self.now)
        out_later = [person.out_at is None or person.out_at > self.now for person in reference.people]
        assert [seat.eliminated_at is None for seat in game.seats] == out_later

    def teardown(self) -> None:
        if not hasattr(self, "session_id"):
            return
        while self.delivered < len(self.events):
            self.events_arrive(count=4, times=2)
        assert self._settle(FOR_EVER, len(self.events))
        self._compare()

    def _compare(self) -> None:
        reference = self._reference()
        game = self.world.run(lambda transaction: games.get(transaction, self.session_id))
        entries = self.world.run(lambda transaction: ledger.read_all(transaction, self.session_id))
        assert (game.status, game.finished_at) == (Status.FINISHED, reference.finished_at)
        assert game.end_reason is (EndReason.ENDED_BY_HOST if reference.ended_by_host else EndReason.ALL_OUT)
        assert game.survival_ms == max(0, (reference.finished_at or 0) - self.setting.starts_at)
        for seat, person in zip(game.seats, reference.people, strict=True):
            stored = seat.eliminated_at, seat.base, seat.solved, seat.failed, seat.expired
            assert stored == (person.out_at, person.moved, person.solved, person.failed, person.expired)
            assert sum(entry.amount for entry in entries if entry.player_id == seat.player_id) == person.moved
        paid = {str(e.puzzle_id): e.player_id for e in entries if e.kind in {"award", "void"}}
        places: dict[Any, UUID | None] = {None: None, **dict(enumerate(self.players))}
        assert paid == {name: places[place] for name, place in reference.paid.items()}
        assert self.world.run(lambda transaction: replaying.replay(transaction, self.session_id)).differences == []
        self.world.seen.update({entry.reason or entry.kind for entry in entries} | {str(game.end_reason)})


@contextmanager
def world(url: str) -> Iterator[World]:
    world = World(url)
    try:
        yield world
    finally:
        world.close()


def play(games: int) -> None:
    run_state_machine_as_test(
        Session,
        settings=settings(
            max_examples=games,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=games == DEFAULT_GAMES,
            database=None,
            # A game that fails is short enough to be read; to make it shorter takes minutes.
            phases=[Phase.generate],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.usefixtures("clean")
def test_whatever_happens_the_service_comes_to_what_the_model_says(database_url: str) -> None:
    with world(database_url) as Session.world:
        play(GAMES)
        assert Session.world.games >= GAMES
        assert min(Session.world.seen[what] for what in CORNERS) > 1, Session.world.seen


def an_event_counts_each_time_it_comes(patch: pytest.MonkeyPatch) -> None:
    genuine = answers.apply

    async def apply(transaction: Transaction, event: PuzzleEvent) -> Outcome:
        return await genuine(transaction, event, retried=True)

    patch.setattr(answers, "apply", apply)


def the_worker_does_not_wait_for_answers_on_their_way(patch: pytest.MonkeyPatch) -> None:
    genuine = settling.settle

    async def settle(transaction: Transaction, session_id: SessionId, until: int, _version: int) -> bool:
        return await genuine(transaction, session_id, until, 0)

    patch.setattr(settling, "settle", settle)


def a_changed_seat_is_not_written_back(patch: pytest.MonkeyPatch) -> None:
    genuine = values_of
    patch.setattr(saving, "values_of", lambda seat: genuine(replace(seat, base=15)))


def the_ledger_has_the_wrong_instant(patch: pytest.MonkeyPatch) -> None:
    genuine = saving._entry_values
    patch.setattr(saving, "_entry_values", lambda entry: genuine(replace(entry, at=entry.at // 1_000 * 1_000)))


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize(
    "plant",
    [
        an_event_counts_each_time_it_comes,
        the_worker_does_not_wait_for_answers_on_their_way,
        a_changed_seat_is_not_written_back,
        the_ledger_has_the_wrong_instant,
    ],
)
def test_a_bug_planted_in_the_service_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bugs in the rules are planted in `tests/unit/points/test_planted_bugs.py`."""
    plant(monkeypatch)
    with world(database_url) as Session.world, pytest.raises((AssertionError, IntegrityError)):
        play(DEFAULT_GAMES)
