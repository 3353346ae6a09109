"""A state machine that plays many games at once: the real service on its real database beside the plain model.

Hypothesis chooses the rules of each game, its answers, and all that lies between an answer and its taking effect: what
arrives in one batch, late, doubled, out of order; when the worker settles, by how old a word of the puzzle service, and
who else does at the same time; operators' ticks, the host's end, and the statement at which a process dies.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import product
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from contracts.events import PuzzleEvent
from contracts.rooms import EndReason, Status
from services.kit.streams import Outcome
from services.points.domain.game import Game
from services.points.domain.views import points_of
from services.puzzle.service.upkeep import Position
from tests.integration.points.played import BEGINNING, Arrival, PlayedGame
from tests.integration.points.world import World
from tests.reference_model import Setting, What

GAMES = 16
"""How many are played side by side."""
STEPS = 30


class Wait(NamedTuple):
    """Some milliseconds, or until beside the so-manieth boundary of an interval from now."""

    intervals: int | None
    beside: int


WAITS = [
    *[Wait(None, ms) for ms in (0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 40, 90)],
    *[Wait(intervals, beside) for intervals, beside in ((1, 0), (1, 0), (1, -1), (1, 1), (2, 40))],
]
ANSWERS = [What.SOLVED, What.SOLVED, What.SOLVED, What.FAILED, What.EXPIRED]
ARRIVALS = [*[Arrival.NEXT] * 8, Arrival.AGAIN, Arrival.FIRST, Arrival.AHEAD, Arrival.LAST]
SETTINGS = st.builds(
    Setting,
    players=st.sampled_from([4, 4, 3, 2, 2, 1]),
    start_points=st.sampled_from([15, 5, 16, 5, 2, 1]),
    decay=st.sampled_from([1, 1, 1, 2, 7]),
    interval_ms=st.sampled_from([1_000, 250, 251]),
    award=st.sampled_from([1, 5, 5, 0]),
    penalty=st.sampled_from([0, 1, 50]),
    next_seat=st.booleans(),
    starts_at=st.sampled_from([BEGINNING, BEGINNING + 700]),
)


def some(choices: Sequence[Any], count: int) -> st.SearchStrategy[list[Any]]:
    """So many of them. Chosen by place, since Hypothesis describes what it samples from, and these are thousands."""
    return st.lists(st.integers(0, len(choices) - 1).map(lambda place: choices[place]), min_size=count, max_size=count)


class DifferenceError(BaseException):
    """What is stored differs from what the model says; the cause says in which game, and where.

    No Exception: those Hypothesis would try again, with other ids, to no use.
    """


class Table(RuleBasedStateMachine):
    """Games side by side."""

    world: ClassVar[World]
    seen: ClassVar[Counter[str]]
    number: ClassVar[int]

    def __init__(self) -> None:
        super().__init__()
        self.games: list[PlayedGame] = []

    @initialize(chosen=st.lists(SETTINGS, min_size=GAMES, max_size=GAMES), begun_in_time=st.booleans())
    def begin(self, chosen: list[Setting], begun_in_time: bool) -> None:
        self.games = [PlayedGame(setting) for setting in chosen]
        self.world.run(self.world.create([game.created for game in self.games]))
        self.seen["games"] += GAMES
        if begun_in_time:
            assert self.world.run(self.world.begin()) == GAMES
            for game in self.games:
                game.now = game.setting.starts_at
                game.settled_up_to(game.now)

    @rule(waited=some(list(product(range(GAMES), WAITS)), 8))
    def time_passes(self, waited: list[tuple[int, Wait]]) -> None:
        for place, wait in waited:
            self.games[place].wait(*wait)

    @rule(answered=some(list(product(range(GAMES), range(4), ANSWERS, WAITS)), 48))
    def players_answer(self, answered: list[tuple[int, int, What, Wait]]) -> None:
        """The puzzle service has judged it. Points will hear of it, some time."""
        for place, player, what, wait in answered:
            self.games[place].wait(*wait)
            self.games[place].answer(player, what)

    @rule(arrivals=some(list(product(range(GAMES), ARRIVALS)), 64))
    def events_arrive(self, arrivals: list[tuple[int, Arrival]]) -> None:
        events = self._arriving(arrivals)
        expected = self._arrived(events)
        assert self.world.run(self.world.apply(events)) == expected
        self._compare_rows()

    def _arriving(self, arrivals: list[tuple[int, Arrival]]) -> list[PuzzleEvent]:
        """Those of different games mixed, as they are drawn; each game's as they would come in a row."""
        rows = {
            place: game.arriving([arrival for at, arrival in arrivals if at == place])
            for place, game in enumerate(self.games)
        }
        found = (next(rows[place], None) for place, _ in arrivals)
        return [event for event in found if event is not None]

    def _arrived(self, events: list[PuzzleEvent]) -> list[Outcome]:
        by_id = {game.session_id: game for game in self.games}
        outcomes = [by_id[event.session_id].arrived(event.version) for event in events]
        self.seen.update(f"events {outcome.value}" for outcome in outcomes)
        return outcomes

    @rule(lags=some([0, 0, 0, 0, 1, 2, 9], GAMES), workers=st.sampled_from([1, 1, 2]))
    def the_worker_settles(self, lags: list[int], workers: int) -> None:
        """As far as the puzzle service vouches for, asked now or some time ago. Two workers do once what one does."""
        positions = [game.position(lag) for game, lag in zip(self.games, lags, strict=True)]
        self.world.run(self._settle(positions, workers))
        for game, position in zip(self.games, positions, strict=True):
            self._settled(game, position)
        self.seen["workers at once"] += workers - 1
        self._compare()

    async def _settle(self, positions: list[Position], workers: int = 1) -> None:
        words = {game.session_id: position for game, position in zip(self.games, positions, strict=True)}
        await asyncio.gather(*(self.world.settle(words) for _ in range(workers)))

    def _settled(self, game: PlayedGame, position: Position) -> None:
        if game.is_known_over() or game.awaited > game.delivered:
            return
        if game.delivered < position.version:
            self.seen["waited for answers"] += 1
            game.awaited = position.version
            return
        self.seen["by an old position"] += position.now < game.settled
        self.seen["ticks"] += len(game.pending_ticks)
        game.settled_by(position)

    @rule(place=st.sampled_from([None, *range(GAMES)]), ticks=st.sampled_from([1, 1, 2, 30]))
    def an_operator_asks_for_ticks(self, place: int | None, ticks: int) -> None:
        """They are taken by the next settling that may do anything."""
        asked = self.games if place is None else [self.games[place]]
        active = [game for game in asked if game.is_known_active()]
        session_id = None if place is None else self.games[place].session_id
        assert self.world.run(self.world.request_ticks(session_id, ticks)) == len(active)
        for game in active:
            game.pending_ticks.append(ticks)

    @rule(places=some([*[None] * 2 * GAMES, *range(GAMES)], 4))
    def hosts_end(self, places: list[int | None]) -> None:
        for place in places:
            if place is not None and (at := self.games[place].end()) is not None:
                self.world.run(self.world.end(self.games[place].session_id, at))
                self.games[place].now += 1

    @rule(arrivals=some(list(product(range(GAMES), ARRIVALS)), 40))
    def events_arrive_while_the_worker_settles(self, arrivals: list[tuple[int, Arrival]]) -> None:
        """Whether it still waits for them, only what it did can say."""
        events = self._arriving(arrivals)
        positions = [game.later_position() for game in self.games]

        async def both() -> None:
            await asyncio.gather(self.world.apply(events), self._settle(positions))

        self.world.run(both())
        self._arrived(events)
        self._look(positions)

    @rule(arrivals=some(list(product(range(GAMES), ARRIVALS)), 20), statements=st.integers(0, 60))
    def a_consumer_dies(self, arrivals: list[tuple[int, Arrival]], statements: int) -> None:
        """What it had committed is done, what it had not is not; all of it comes again."""
        events = self._arriving(arrivals)
        self.seen["deaths"] += self.world.dying(self.world.apply(events), statements)
        stored = self.world.stored([game.session_id for game in self.games])
        for game in self.games:
            version = stored[game.session_id].puzzle_version
            mine = {event.version for event in events if event.session_id == game.session_id}
            assert version == game.delivered or version in mine
            if version > game.delivered:
                game.applied_up_to(version)
        self._compare_rows()

    @rule(statements=st.integers(0, 40))
    def a_worker_dies(self, statements: int) -> None:
        positions = [game.later_position() for game in self.games]
        self.seen["deaths"] += self.world.dying(self._settle(positions), statements)
        self._look(positions)

    def _look(self, positions: list[Position]) -> None:
        """Each game has been settled by its position, or not at all."""
        stored = self.world.stored([game.session_id for game in self.games])
        for game, position in zip(self.games, positions, strict=True):
            row = stored[game.session_id]
            if row.settled_at == position.now:
                assert game.delivered >= position.version, f"{game}"
                self._settled(game, position)
            assert row.awaited_version in {game.awaited, position.version}, f"{game}"
            game.awaited = row.awaited_version
        self._compare()

    def _compare_rows(self) -> None:
        """Each session has come as far as is known, and knows when it has to be looked at again."""
        stored = self.world.stored([game.session_id for game in self.games])
        for game in self.games:
            row = stored[game.session_id]
            if game.is_known_over() and game.pending_ticks:
                # They come to nothing, whenever the worker comes upon them: when none is due, or another has those.
                assert row.awaited_version <= len(game.events), f"{row} {game}"
                game.awaited = row.awaited_version
                if not row.requests:
                    assert row.settled_at <= game.now, f"{row} {game}"
                    game.settled_up_to(row.settled_at)
                    game.pending_ticks.clear()
            assert (row.puzzle_version, row.settled_at) == (game.delivered, game.settled), f"{row} {game}"
            assert row.due_at == game.due_at, f"{row} {game}"
            assert row.requests == len(game.pending_ticks), f"{row} {game}"

    def _compare(self) -> None:
        self._compare_rows()
        found = self.world.run(self.world.read([game.session_id for game in self.games]))
        for game, real in zip(self.games, found, strict=True):
            compare_now(game, real)

    def teardown(self) -> None:
        try:
            if isinstance(found := sys.exc_info()[1], Exception):
                raise found
            if self.games:
                self._finish()
        except Exception as error:
            raise DifferenceError(f"SEED={self.number}") from error

    def _finish(self) -> None:
        for game in self.games:
            events = game.events[game.delivered :]
            assert self.world.run(self.world.apply(events)) == self._arrived(events)
            game.now = game.over_by()
        positions = [Position(game.now, len(game.events)) for game in self.games]
        self.world.run(self._settle(positions))
        for game, position in zip(self.games, positions, strict=True):
            self._settled(game, position)
        self._compare()
        self._compare_ends()

    def _compare_ends(self) -> None:
        ids = [game.session_id for game in self.games]
        for game, real in zip(self.games, self.world.run(self.world.read(ids)), strict=True):
            entries = self.world.run(self.world.read_entries(game.session_id))
            compare_end(game, real, entries)
            self.seen.update(entry.reason or entry.kind for entry in entries)
            self.seen.update([str(real.end_reason)])
            self.seen["eliminations"] += sum(seat.eliminated_at is not None for seat in real.seats)
        self.world.run(self.world.replay_finished())
        assert self.world.differing(ids) == {session_id: [] for session_id in ids}
        for versions in self.world.sent_versions(ids).values():
            assert versions == list(range(1, len(versions) + 1))


def compare_now(game: PlayedGame, real: Game) -> None:
    """What clients are told now is what the model has now, after what points was told until now."""
    reference = game.reference
    out = [None if p.out_at is None or p.out_at > game.settled else p.out_at for p in reference.people]
    assert [seat.eliminated_at for seat in real.seats] == out, f"{game}"
    assert (real.status is Status.FINISHED) is game.is_known_over(), f"{game}"
    if not game.ended_before_the_start and game.now >= game.setting.starts_at:
        assert [points_of(real, seat, game.now) for seat in real.seats] == reference.points_at(game.now), f"{game}"


def compare_end(game: PlayedGame, real: Game, entries: Sequence[Any]) -> None:
    """All that is stored of a finished game is what the model says."""
    reference = game.reference
    assert (real.status, real.finished_at) == (Status.FINISHED, reference.finished_at), f"{game}"
    assert real.end_reason is (EndReason.ENDED_BY_HOST if reference.ended_by_host else EndReason.ALL_OUT), f"{game}"
    assert real.survival_ms == max(0, (reference.finished_at or 0) - game.setting.starts_at), f"{game}"
    for seat, person in zip(real.seats, reference.people, strict=True):
        stored = seat.eliminated_at, seat.base, seat.solved, seat.failed, seat.expired
        assert stored == (person.out_at, person.moved, person.solved, person.failed, person.expired), f"{game}"
        assert sum(entry.amount for entry in entries if entry.player_id == seat.player_id) == person.moved, f"{game}"
    paid = {str(e.puzzle_id): e.player_id for e in entries if e.kind in {"award", "void"}}
    places: dict[Any, UUID | None] = {None: None, **dict(enumerate(game.players))}
    assert paid == {name: places[place] for name, place in reference.paid.items()}, f"{game}"


def play(games: int, number: int) -> Counter[str]:
    """Play at least so many games; the number chooses which. Returns what was seen in them. Raises DifferenceError."""
    Table.seen, Table.number = Counter(), number
    run_state_machine_as_test(
        seed(number)(Table),
        settings=settings(
            max_examples=-(-games // GAMES),
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            # A game that fails is short enough to be read; to make it shorter takes minutes.
            phases=[Phase.generate],
            report_multiple_bugs=False,
            verbosity=Verbosity.quiet,  # the game in which they differ says more than all steps of all games
            suppress_health_check=list(HealthCheck),
        ),
    )
    return Table.seen
