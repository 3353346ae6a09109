"""What others are told of a game."""

from uuid import uuid4

from contracts import events
from services.points.domain.views import outbound, points_of, public_state
from tests.factories import Puzzles, lobby, running


def test_before_the_start_everybody_has_what_they_will_begin_with() -> None:
    game = lobby(2, countdown_ms=3_000)
    assert points_of(game, game.seats[0], 10**6) == 15
    game.start(0)
    assert points_of(game, game.seats[0], 2_999) == 15


def test_a_start_that_nobody_has_noticed_yet_changes_no_score() -> None:
    game = lobby(2, countdown_ms=3_000)
    game.start(0)
    late = points_of(game, game.seats[0], 20_000)
    game.advance(20_000)
    assert late == points_of(game, game.seats[0], 20_000) == 12


def test_a_lobby_that_was_closed_leaves_nobody_any_points() -> None:
    game = lobby(2)
    game.end(9_000)
    assert points_of(game, game.seats[0], 9_000) == 0


def test_the_puzzle_service_hears_of_start_eliminations_and_end_numbered_without_a_gap() -> None:
    game = lobby(2)
    game.start(0)
    game.advance(10**6)
    made = outbound(game)
    assert [type(event) for event in made] == [
        events.SessionCountdown,
        events.SessionStarted,
        events.PlayerEliminated,
        events.PlayerEliminated,
        events.SessionFinished,
    ]
    assert [event.version for event in made] == [1, 2, 3, 4, 5]
    assert [event.at for event in made] == sorted(event.at for event in made)


def test_events_are_numbered_on_from_what_was_sent_before() -> None:
    game = running(1)
    game.facts.clear()
    game.sent_version = 7
    game.advance(10**6)
    assert [event.version for event in outbound(game)] == [8, 9]


def test_the_puzzle_service_does_not_hear_of_a_lobby_that_ended() -> None:
    game = lobby(2)
    game.end(9_000)
    assert outbound(game) == []


def test_the_roster_it_hears_of_is_that_of_the_start() -> None:
    game = lobby(3, puzzle_types=["memory"], difficulty=3)
    game.leave(game.seats[1].player_id, 1)
    game.start(0)
    [countdown] = outbound(game)
    assert isinstance(countdown, events.SessionCountdown)
    assert countdown.players == [seat.player_id for seat in game.seats]
    assert (countdown.puzzle_types, countdown.difficulty, countdown.starts_at) == (["memory"], 3, 5_000)


def test_the_public_state_knows_no_seed_and_no_answer() -> None:
    game = running(1)
    game.seed = 123_456_789
    game.apply(Puzzles(game.session_id).solved(game.seats[0].player_id, 100))
    game.tick(200, 1, uuid4())
    state = public_state(game)
    assert "123456789" not in str(state)
    assert "solution" not in str(state)
