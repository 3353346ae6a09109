"""What a finished game amounts to."""

import pytest

from services.points.domain.game import Game
from services.points.domain.results import Results, results_of
from tests.factories import Puzzles, lobby, running


def results(game: Game) -> Results:
    return results_of(game, [fact for _, fact in game.facts])


def a_finished_game() -> Game:
    """Seat 0 solves two for seat 1 and fails one; seat 1 lets one expire, and seat 2 does nothing."""
    game = running(3, started_at=1_000)
    puzzles = Puzzles(game.session_id)
    first, second, _ = (seat.player_id for seat in game.seats)
    for event in (
        puzzles.solved(first, 2_000, kind="memory"),
        puzzles.solved(first, 3_000, kind="spatial"),
        puzzles.failed(first, 4_000, kind="memory"),
        puzzles.expired(second, 5_000, kind="memory"),
    ):
        game.apply(event)
    game.advance(10**9)
    return game


def test_everybody_survived_until_their_own_zero() -> None:
    game = a_finished_game()
    assert [player.survived_ms for player in results(game).players] == [75_000, 125_000, 75_000]
    assert results(game).survival_ms == game.survival_ms == 125_000


def test_puzzles_are_counted_by_player_and_type() -> None:
    first, second, third = results(a_finished_game()).players
    assert (first.solved, first.failed, first.expired) == (2, 1, 0)
    assert first.by_type == {
        "memory": {"solved": 1, "failed": 1, "expired": 0},
        "spatial": {"solved": 1, "failed": 0, "expired": 0},
    }
    assert second.by_type == {"memory": {"solved": 0, "failed": 0, "expired": 1}}
    assert third.by_type == {}


def test_who_kept_whom_alive() -> None:
    game = a_finished_game()
    found = results(game)
    assert [(p.points_given, p.points_received) for p in found.players] == [(10, 0), (0, 10), (0, 0)]
    [kept] = found.kept_alive
    assert (kept.from_player_id, kept.to_player_id) == (game.seats[0].player_id, game.seats[1].player_id)
    assert (kept.points, kept.awards) == (10, 2)


def test_whoever_is_in_at_the_hosts_end_survived_until_then() -> None:
    game = running(2)
    game.end(30_000)
    game.advance(30_000)
    assert [player.survived_ms for player in results(game).players] == [30_000, 30_000]


def test_a_game_that_never_began_has_results_of_nothing() -> None:
    game = lobby(2)
    game.end(9_000)
    assert [player.survived_ms for player in results(game).players] == [0, 0]
    assert results(game).survival_ms == 0


def test_there_are_no_results_before_the_end() -> None:
    with pytest.raises(ValueError, match="finished"):
        results(running(2))
