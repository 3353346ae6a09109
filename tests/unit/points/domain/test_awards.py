"""What an answer brings, or costs. By default 15 points, 1 every 5 000 ms, 5 for a solved puzzle."""

from contracts import rooms
from contracts.rooms import EndReason, Status, VoidReason
from tests.factories import running, told
from tests.unit.points.domain.moves import fail, points, solve, voids


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
