"""Bugs, planted one at a time: the comparison with the reference model finds each of them.

Who tests the tests? Every bug here is one that somebody could write, or has written, in the rules of the game.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from contracts.rooms import EndReason, Status, VoidReason
from contracts.rules import AwardTarget, Rules
from services.points.domain import game as module
from services.points.domain import views
from services.points.domain.game import Game
from services.points.domain.rules import points_at, zero_at
from services.points.domain.seats import LedgerEntry, Seat, receiver_of
from tests.random_games import play_and_compare

ENOUGH = 150
"""Random games in which every bug has to show; most do in the first ten."""

Plant = Callable[[pytest.MonkeyPatch], None]
BUGS: dict[str, Plant] = {}


def bug(plant: Plant) -> Plant:
    BUGS[plant.__name__] = plant
    return plant


def _advance(*, ties: bool = False, dated_late: bool = False, host_first: bool = False) -> Callable[[Game, int], None]:
    """`Game.advance` as it is, but for what is asked for."""

    def advance(self: Game, until: int) -> None:
        if self.status is Status.COUNTDOWN and self.starts_at is not None and self.starts_at <= until:
            self._begin(self.starts_at)
        ending = self.status is Status.ACTIVE and self.ending_at is not None and self.ending_at <= until
        if host_first and ending and self.ending_at is not None:
            self._finish(self.ending_at, EndReason.ENDED_BY_HOST)
        while self.status is Status.ACTIVE:
            limit = until if self.ending_at is None else min(until, self.ending_at)
            next_out = min(self._still_in(), key=lambda s: (s.zero_at or 0, s.seat))
            if next_out.zero_at is None or next_out.zero_at > limit or (ties and next_out.zero_at == limit):
                break
            self._eliminate(next_out, limit if dated_late else next_out.zero_at)
        if self.status is Status.ACTIVE and self.ending_at is not None and self.ending_at <= until:
            self._finish(self.ending_at, EndReason.ENDED_BY_HOST)
        self.settled_at = max(self.settled_at, until)

    return advance


@bug
def an_answer_at_the_very_instant_of_zero_is_in_time(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Game, "advance", _advance(ties=True))


@bug
def an_elimination_is_dated_when_it_is_noticed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Game, "advance", _advance(dated_late=True))


@bug
def the_hosts_end_spares_those_who_were_out_before(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Game, "advance", _advance(host_first=True))


@bug
def zero_is_reached_a_millisecond_late(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(module, "zero_at", lambda *arguments: zero_at(*arguments) + 1)


@bug
def a_rest_that_is_less_than_the_decay_is_rounded_away(patch: pytest.MonkeyPatch) -> None:
    def rounded_down(rules: Rules, started_at: int, base: int, at: int) -> int:
        return max(at, started_at + max(1, base // rules.decay) * rules.interval_ms)

    patch.setattr(module, "zero_at", rounded_down)


@bug
def an_award_begins_the_interval_anew(patch: pytest.MonkeyPatch) -> None:
    def from_now(rules: Rules, started_at: int, base: int, at: int) -> int:
        left = points_at(rules, started_at, base, at)
        return at + -(-left // rules.decay) * rules.interval_ms

    patch.setattr(module, "zero_at", from_now)


@bug
def the_first_interval_costs_at_once(patch: pytest.MonkeyPatch) -> None:
    def paid_in_advance(rules: Rules, started_at: int, base: int, at: int) -> int:
        return points_at(rules, started_at, base, at + rules.interval_ms - 1)

    patch.setattr(module, "points_at", paid_in_advance)
    patch.setattr(views, "points_at", paid_in_advance)


def _receivers(patch: pytest.MonkeyPatch, receiver: Callable[[Sequence[Seat], Seat, AwardTarget], Any]) -> None:
    patch.setattr(module, "receiver_of", receiver)


@bug
def the_last_one_left_pays_oneself(patch: pytest.MonkeyPatch) -> None:
    def with_the_solver(seats: Sequence[Seat], solver: Seat, target: AwardTarget) -> Seat | VoidReason:
        found = receiver_of(seats, solver, target)
        return solver if found is VoidReason.NOBODY_LEFT else found

    _receivers(patch, with_the_solver)


@bug
def somebody_who_is_out_is_paid(patch: pytest.MonkeyPatch) -> None:
    def whoever_is_next(seats: Sequence[Seat], solver: Seat, target: AwardTarget) -> Seat | VoidReason:
        found = receiver_of(seats, solver, target)
        return found if isinstance(found, VoidReason) else seats[(seats.index(solver) + 1) % len(seats)]

    _receivers(patch, whoever_is_next)


@bug
def next_seat_passes_over_those_who_are_out(patch: pytest.MonkeyPatch) -> None:
    _receivers(patch, lambda seats, solver, _: receiver_of(seats, solver, AwardTarget.NEXT_ACTIVE))


@bug
def the_circle_of_seats_is_no_circle(patch: pytest.MonkeyPatch) -> None:
    def up_to_the_last(seats: Sequence[Seat], solver: Seat, target: AwardTarget) -> Seat | VoidReason:
        return receiver_of(seats[seats.index(solver) :], solver, target)

    _receivers(patch, up_to_the_last)


@bug
def a_penalty_takes_what_is_not_there(patch: pytest.MonkeyPatch) -> None:
    def take(self: Game, seat: Seat, amount: int, at: int) -> int:
        seat.base -= amount
        seat.zero_at = zero_at(self.rules, self.started_at or 0, seat.base, at)
        return amount

    patch.setattr(Game, "_take", take)


@bug
def a_penalty_does_not_move_the_zero(patch: pytest.MonkeyPatch) -> None:
    def take(self: Game, seat: Seat, amount: int, at: int) -> int:
        taken = min(amount, points_at(self.rules, self.started_at or 0, seat.base, at))
        seat.base -= taken
        return taken

    patch.setattr(Game, "_take", take)


@bug
def a_tick_takes_one_point_whatever_the_decay(patch: pytest.MonkeyPatch) -> None:
    genuine = Game._take

    def take(self: Game, seat: Seat, amount: int, at: int) -> int:
        ticks = amount != self.rules.penalty and amount % self.rules.decay == 0
        return genuine(self, seat, amount // self.rules.decay if ticks else amount, at)

    patch.setattr(Game, "_take", take)


@bug
def a_solved_puzzle_is_entered_twice(patch: pytest.MonkeyPatch) -> None:
    genuine = Game._award

    def award(self: Game, solver: Seat, puzzle_id: Any, at: int) -> None:
        genuine(self, solver, puzzle_id, at)
        self.entries.append(self.entries[-1])

    patch.setattr(Game, "_award", award)


@bug
def an_award_is_not_entered(patch: pytest.MonkeyPatch) -> None:
    genuine = Game._award

    def award(self: Game, solver: Seat, puzzle_id: Any, at: int) -> None:
        genuine(self, solver, puzzle_id, at)
        del self.entries[-1]

    patch.setattr(Game, "_award", award)


@bug
def an_answer_that_comes_too_late_leaves_no_trace(patch: pytest.MonkeyPatch) -> None:
    genuine = Game._enter_void

    def enter(self: Game, solver: Seat, puzzle_id: Any, at: int, reason: VoidReason) -> None:
        if reason is not VoidReason.SOLVER_OUT:
            genuine(self, solver, puzzle_id, at, reason)

    patch.setattr(Game, "_enter_void", enter)


@bug
def a_point_comes_from_nowhere(patch: pytest.MonkeyPatch) -> None:
    genuine = Game._award

    def award(self: Game, solver: Seat, puzzle_id: Any, at: int) -> None:
        genuine(self, solver, puzzle_id, at)
        entry: LedgerEntry = self.entries[-1]
        if entry.player_id is not None:
            self.seat_of(entry.player_id).base += 1

    patch.setattr(Game, "_award", award)


@bug
def the_last_one_out_does_not_end_the_game(patch: pytest.MonkeyPatch) -> None:
    genuine = Game._finish

    def finish(self: Game, at: int, reason: EndReason) -> None:
        genuine(self, at + self.rules.interval_ms if reason is EndReason.ALL_OUT else at, reason)

    patch.setattr(Game, "_finish", finish)


def play_enough() -> None:
    for seed in range(ENOUGH):
        play_and_compare(seed)


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    BUGS[name](monkeypatch)
    with pytest.raises(AssertionError):
        play_enough()


def test_without_a_bug_the_same_games_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or finding something would prove nothing: as they are, and with the copy of `advance` that takes bugs."""
    play_enough()
    monkeypatch.setattr(Game, "advance", _advance())
    play_enough()
