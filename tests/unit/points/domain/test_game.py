"""A running game, sentence by sentence. By default 15 points, 1 every 5 000 ms, 5 for a solved puzzle."""

from uuid import uuid4

from contracts import rooms
from contracts.ids import PuzzleId
from contracts.rooms import EndReason, Status, VoidReason
from services.points.domain.game import Game
from services.points.domain.views import points_of
from tests.factories import Puzzles, running, told


def points(game: Game, at: int) -> list[int]:
    return [points_of(game, seat, at) for seat in game.seats]


def voids(game: Game) -> list[tuple[VoidReason | None, int]]:
    return [(entry.reason, entry.at) for entry in game.entries if entry.kind == "void"]


def solve(game: Game, seat: int, at: int) -> None:
    game.apply(Puzzles(game.session_id).solved(game.seats[seat].player_id, at))


def fail(game: Game, seat: int, at: int) -> None:
    game.apply(Puzzles(game.session_id).failed(game.seats[seat].player_id, at))


# --- awards


def test_a_solved_puzzle_pays_the_next_player_and_not_the_solver() -> None:
    game = running(3)
    solve(game, 0, 7_000)
    assert points(game, 7_000) == [14, 19, 14]
    [award] = told(game, rooms.PointsAwarded)
    assert (award.to_player_id, award.amount, award.base, award.zero_at) == (game.seats[1].player_id, 5, 20, 100_000)
    assert game.seats[0].solved == 1


def test_the_last_seat_pays_the_first() -> None:
    game = running(3)
    solve(game, 2, 7_000)
    assert points(game, 7_000) == [19, 14, 14]


def test_an_award_of_nothing_is_still_an_award() -> None:
    game = running(2, award=0)
    solve(game, 0, 7_000)
    assert [award.amount for award in told(game, rooms.PointsAwarded)] == [0]
    assert points(game, 7_000) == [14, 14]


def test_who_plays_alone_helps_nobody() -> None:
    game = running(1)
    solve(game, 0, 7_000)
    assert voids(game) == [(VoidReason.NOBODY_LEFT, 7_000)]
    assert [fact.reason for fact in told(game, rooms.PointsVoided)] == [VoidReason.NOBODY_LEFT]
    assert points(game, 7_000) == [14]


def test_an_award_one_millisecond_before_zero_saves() -> None:
    game = running(2)
    solve(game, 0, 74_999)
    game.advance(75_000)
    assert [seat.is_in for seat in game.seats] == [False, True]
    assert points(game, 75_000) == [0, 5]


def test_an_award_at_the_very_instant_of_zero_comes_too_late() -> None:
    game = running(3)
    solve(game, 2, 10_000)  # seat 0 has 20, the others 15
    solve(game, 0, 75_000)
    assert [seat.eliminated_at for seat in game.seats] == [None, 75_000, 75_000]
    assert voids(game) == [(VoidReason.NOBODY_LEFT, 75_000)]


def test_at_the_very_instant_of_zero_the_award_goes_to_the_next_who_is_still_in() -> None:
    game = running(3)
    solve(game, 1, 10_000)  # seat 2 has 20
    solve(game, 2, 10_000)  # seat 0 has 20
    solve(game, 0, 75_000)  # seat 1 is out at this instant
    assert [seat.base for seat in game.seats] == [20, 15, 25]


def test_with_next_seat_an_award_for_a_seat_that_is_out_is_void() -> None:
    game = running(3, award_target="next_seat")
    solve(game, 1, 10_000)
    solve(game, 2, 10_000)
    solve(game, 0, 75_000)
    assert voids(game) == [(VoidReason.NEXT_SEAT_OUT, 75_000)]
    assert [seat.base for seat in game.seats] == [20, 15, 20]


def test_the_answer_of_somebody_who_is_out_is_void_and_no_client_is_told() -> None:
    game = running(3)
    solve(game, 2, 10_000)
    game.advance(75_000)
    before = len(game.facts)
    solve(game, 1, 75_001)
    fail(game, 1, 75_002)
    assert voids(game) == [(VoidReason.SOLVER_OUT, 75_001)]
    assert len(game.facts) == before
    assert (game.seats[1].solved, game.seats[1].failed, game.seats[1].puzzle) == (0, 0, None)


def test_an_answer_that_comes_late_but_was_given_in_time_counts() -> None:
    """The award is applied when the clock is far past everybody's zero: only its own instant matters."""
    game = running(2)
    solve(game, 0, 74_000)
    game.advance(500_000)
    assert [seat.eliminated_at for seat in game.seats] == [75_000, 100_000]


def test_what_became_due_before_an_answer_takes_effect_before_it() -> None:
    game = running(2)
    solve(game, 0, 5_000)
    solve(game, 1, 75_500)
    order = [fact.type for _, fact in game.facts[-3:]]
    assert order == ["player.eliminated", "puzzle.solved", "points.voided"]
    assert told(game, rooms.PlayerEliminated)[0].eliminated_at == 75_000


# --- wrong answers


def test_a_wrong_answer_costs_nothing_by_default() -> None:
    game = running(2)
    fail(game, 0, 7_000)
    assert points(game, 7_000) == [14, 14]
    assert game.seats[0].failed == 1
    assert told(game, rooms.PointsPenalised) == []


def test_a_penalty_is_taken_from_whoever_was_wrong() -> None:
    game = running(2, penalty=3)
    fail(game, 0, 7_000)
    assert points(game, 7_000) == [11, 14]
    [penalty] = told(game, rooms.PointsPenalised)
    assert (penalty.amount, penalty.base, penalty.zero_at) == (3, 12, 60_000)


def test_a_penalty_takes_no_more_than_there_is_and_puts_out_at_once() -> None:
    game = running(2, penalty=100)
    fail(game, 0, 7_000)
    assert game.seats[0].eliminated_at == 7_000
    assert [entry.amount for entry in game.entries if entry.kind == "penalty"] == [-14]
    assert points(game, 7_000) == [0, 14]
    assert game.status is Status.ACTIVE


def test_a_penalty_can_end_the_game() -> None:
    game = running(1, penalty=100)
    fail(game, 0, 7_000)
    assert (game.status, game.survival_ms, game.end_reason) == (Status.FINISHED, 7_000, EndReason.ALL_OUT)


# --- zero and the end


def test_all_who_reach_zero_at_one_instant_are_out_in_the_order_of_their_seats() -> None:
    game = running(3)
    game.advance(90_000)
    eliminated = told(game, rooms.PlayerEliminated)
    assert [fact.player_id for fact in eliminated] == [seat.player_id for seat in game.seats]
    assert {fact.eliminated_at for fact in eliminated} == {75_000}
    assert (game.status, game.finished_at, game.survival_ms) == (Status.FINISHED, 75_000, 75_000)


def test_the_game_ends_with_the_last_player_and_time_goes_no_further() -> None:
    game = running(2, started_at=1_000)
    solve(game, 0, 2_000)
    game.advance(10**9)
    assert [seat.eliminated_at for seat in game.seats] == [76_000, 101_000]
    assert (game.survival_ms, game.end_reason, game.due_at) == (100_000, EndReason.ALL_OUT, None)
    assert points(game, 10**9) == [0, 0]


def test_settling_twice_or_for_an_earlier_instant_changes_nothing() -> None:
    game = running(3)
    solve(game, 0, 7_000)
    game.advance(80_000)
    before = (list(game.facts), list(game.entries), game.settled_at)
    for until in (80_000, 10, 80_000):
        game.advance(until)
    assert (game.facts, game.entries, game.settled_at) == before


def test_an_award_moves_what_is_due_next() -> None:
    game = running(2)
    assert game.due_at == 75_000
    solve(game, 0, 7_000)
    assert game.due_at == 75_000  # seat 0
    solve(game, 1, 7_000)
    assert game.due_at == 100_000


def test_who_is_out_has_no_puzzle_any_more() -> None:
    game = running(2)
    puzzles = Puzzles(game.session_id)
    for seat in game.seats:
        game.apply(puzzles.assigned(seat.player_id, 100))
    game.apply(puzzles.solved(game.seats[0].player_id, 200))
    assert all(seat.puzzle for seat in game.seats)
    game.advance(75_000)
    assert game.seats[0].puzzle is None
    assert game.seats[1].puzzle is not None
    game.advance(200_000)
    assert game.seats[1].puzzle is None


# --- the host's end


def test_the_host_ends_the_game_at_that_instant() -> None:
    game = running(2)
    game.end(30_500)
    assert (game.status, game.due_at) == (Status.ACTIVE, 30_500)
    game.advance(31_000)
    assert (game.status, game.finished_at, game.survival_ms) == (Status.FINISHED, 30_500, 30_500)
    assert game.end_reason is EndReason.ENDED_BY_HOST
    assert [seat.eliminated_at for seat in game.seats] == [None, None]


def test_points_stay_as_they_were_at_the_end() -> None:
    game = running(2)
    game.end(30_500)
    assert points(game, 60_000) == [9, 9]
    game.advance(31_000)
    assert points(game, 60_000) == [9, 9]
    assert points(game, 10**9) == [9, 9]


def test_an_answer_given_before_the_end_counts_though_it_is_applied_after_the_hosts_word() -> None:
    game = running(2)
    game.end(30_500)
    solve(game, 0, 30_499)
    game.advance(40_000)
    assert game.seats[1].base == 20
    assert game.status is Status.FINISHED


def test_an_answer_given_after_the_end_is_void() -> None:
    game = running(2)
    game.end(30_500)
    solve(game, 0, 30_501)
    assert game.status is Status.FINISHED
    assert voids(game) == [(VoidReason.SESSION_OVER, 30_501)]
    assert game.seats[1].base == 15


def test_the_first_of_two_ends_counts() -> None:
    game = running(2)
    game.end(30_500)
    game.end(40_000)
    game.advance(50_000)
    assert game.finished_at == 30_500


def test_an_end_after_the_last_player_was_out_unnoticed_is_no_end_by_the_host() -> None:
    game = running(2)
    game.end(80_000)
    game.advance(90_000)
    assert (game.finished_at, game.end_reason) == (75_000, EndReason.ALL_OUT)


def test_zero_at_the_very_instant_of_the_end_is_zero() -> None:
    game = running(2)
    solve(game, 0, 5_000)
    game.end(75_000)
    game.advance(75_000)
    assert [seat.eliminated_at for seat in game.seats] == [75_000, None]
    assert game.end_reason is EndReason.ENDED_BY_HOST


def test_the_end_is_never_before_what_was_settled() -> None:
    """The database's clock may step back."""
    game = running(2)
    solve(game, 0, 30_000)
    game.end(29_000)
    game.advance(31_000)
    assert game.finished_at == 30_000


# --- operators


def test_extra_ticks_take_points_from_everybody_still_in() -> None:
    game = running(3, decay=2)
    game.tick(6_000, 3, uuid4())
    assert points(game, 6_000) == [7, 7, 7]
    [fact] = told(game, rooms.PointsTicked)
    assert (fact.ticks, fact.amount, len(fact.players)) == (3, 6, 3)
    assert [entry.amount for entry in game.entries if entry.kind == "tick"] == [-6, -6, -6]


def test_extra_ticks_can_put_everybody_out_at_once() -> None:
    game = running(2)
    game.tick(6_000, 100, uuid4())
    assert (game.status, game.survival_ms) == (Status.FINISHED, 6_000)
    assert [entry.amount for entry in game.entries if entry.kind == "tick"] == [-14, -14]


def test_extra_ticks_spare_those_who_are_out() -> None:
    game = running(3)
    solve(game, 0, 7_000)
    game.tick(80_000, 1, uuid4())
    assert [entry.player_id for entry in game.entries if entry.kind == "tick"] == [game.seats[1].player_id]


def test_no_ticks_and_ticks_outside_a_game_change_nothing() -> None:
    game = running(2)
    before = len(game.facts)
    game.tick(6_000, 0, uuid4())
    assert len(game.facts) == before
    game.advance(80_000)
    before = len(game.facts)
    game.tick(90_000, 3, uuid4())
    assert len(game.facts) == before


# --- puzzles


def test_each_closed_puzzle_is_counted_and_the_next_one_shown() -> None:
    game = running(2)
    puzzles = Puzzles(game.session_id)
    player = game.seats[0].player_id
    for event in (puzzles.assigned(player, 100), puzzles.expired(player, 200), puzzles.failed(player, 300)):
        game.apply(event)
    last = puzzles.solved(player, 400)
    game.apply(last)
    seat = game.seats[0]
    assert (seat.solved, seat.failed, seat.expired, seat.puzzle) == (1, 1, 1, last.next)


def test_an_event_that_is_retried_after_later_ones_brings_no_old_puzzle_back() -> None:
    game = running(2)
    puzzles = Puzzles(game.session_id)
    player = game.seats[0].player_id
    given_up, later = puzzles.solved(player, 300), puzzles.solved(player, 400)
    game.apply(later)
    game.apply(given_up)
    assert game.seats[0].puzzle == later.next
    assert told(game, rooms.PuzzleSolved)[-1].next == later.next
    assert game.seats[1].base == 25


def test_every_entry_has_a_name_of_its_own_and_an_award_names_its_puzzle() -> None:
    game = running(2, penalty=1)
    puzzle_id = PuzzleId(uuid4())
    game.apply(Puzzles(game.session_id).solved(game.seats[0].player_id, 100, puzzle_id=puzzle_id))
    fail(game, 1, 200)
    game.tick(300, 1, uuid4())
    keys = [entry.key for entry in game.entries]
    assert len(set(keys)) == len(keys)
    assert f"solve:{game.session_id}:{puzzle_id}" in keys
