"""A running game, sentence by sentence. By default 15 points, 1 every 5 000 ms, 5 for a solved puzzle."""

from uuid import uuid4

from contracts import rooms
from contracts.ids import PuzzleId
from contracts.rooms import EndReason, Status, VoidReason
from tests.factories import Puzzles, running, told
from tests.unit.points.domain.moves import fail, points, solve, voids

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
