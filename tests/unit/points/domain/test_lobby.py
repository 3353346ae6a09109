"""A session before its game begins."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from contracts import rooms
from contracts.ids import PlayerId
from contracts.rooms import EndReason, Status
from services.points.domain.game import Game
from services.points.domain.seats import ForbiddenMoveError
from tests.factories import lobby, running, told

SOMEBODY = PlayerId(uuid4())


def refusal(move: Callable[[], None]) -> str:
    with pytest.raises(ForbiddenMoveError) as refused:
        move()
    return refused.value.code


def join(game: Game, seat: int = 9) -> None:
    game.join(PlayerId(uuid4()), seat, "Late", "#ffffff", 5)


def test_seats_are_in_order_however_people_come() -> None:
    game = lobby(0, seats=3)
    for seat in (2, 0, 1):
        join(game, seat)
    assert [seat.seat for seat in game.seats] == [0, 1, 2]


def test_a_full_session_takes_nobody() -> None:
    game = lobby(2)
    assert refusal(lambda: join(game)) == "team_full"
    assert len(game.seats) == 2


def test_somebody_who_leaves_makes_room() -> None:
    game = lobby(2)
    game.leave(game.seats[0].player_id, 3)
    join(game, 0)
    assert [seat.seat for seat in game.seats] == [0, 1]
    assert len(told(game, rooms.PlayerLeft)) == 1


def test_a_player_is_told_ready_once() -> None:
    game = lobby(1)
    player = game.seats[0].player_id
    for ready in (True, True, False):
        game.set_ready(player, ready, 3)
    assert [fact.ready for fact in told(game, rooms.PlayerReady)] == [True, False]


def test_a_stranger_has_no_seat_to_be_ready_in_or_to_leave() -> None:
    game = lobby(1)
    assert refusal(lambda: game.set_ready(SOMEBODY, True, 3)) == "player_not_in_session"
    assert refusal(lambda: game.leave(SOMEBODY, 3)) == "player_not_in_session"


def test_a_start_needs_a_player_but_not_that_all_are_ready() -> None:
    assert refusal(lambda: lobby(0).start(3)) == "no_players"
    game = lobby(1, countdown_ms=3_000)
    game.start(3)
    assert (game.status, game.starts_at) == (Status.COUNTDOWN, 3_003)
    assert game.due_at == 3_003


def test_after_the_start_nothing_of_the_lobby_is_possible() -> None:
    game = lobby(2, seats=4)
    player = game.seats[0].player_id
    game.start(3)
    assert refusal(lambda: game.start(4)) == "session_not_in_lobby"
    assert refusal(lambda: game.set_ready(player, True, 4)) == "session_not_in_lobby"
    assert refusal(lambda: join(game)) == "session_in_progress"
    assert refusal(lambda: game.leave(player, 4)) == "session_in_progress"


@pytest.mark.parametrize("at", [0, 2_999])
def test_the_game_does_not_begin_before_its_time(at: int) -> None:
    game = lobby(1, countdown_ms=3_000)
    game.start(0)
    game.advance(at)
    assert game.status is Status.COUNTDOWN


@pytest.mark.parametrize("noticed_at", [3_000, 3_001, 7_000])
def test_the_game_begins_at_its_instant_however_late_that_is_noticed(noticed_at: int) -> None:
    game = lobby(2, countdown_ms=3_000)
    game.start(0)
    game.advance(noticed_at)
    assert (game.status, game.started_at) == (Status.ACTIVE, 3_000)
    assert [(seat.base, seat.zero_at) for seat in game.seats] == [(15, 78_000)] * 2
    assert [entry.amount for entry in game.entries] == [15, 15]


@pytest.mark.parametrize("reason", [EndReason.ENDED_BY_HOST, EndReason.ABANDONED])
def test_a_lobby_that_is_ended_survived_nothing(reason: EndReason) -> None:
    game = lobby(2)
    game.end(9_000, reason)
    assert (game.status, game.survival_ms, game.end_reason, game.finished_at) == (Status.FINISHED, 0, reason, 9_000)
    assert game.due_at is None


def test_a_countdown_that_is_ended_survived_nothing() -> None:
    game = lobby(2, countdown_ms=3_000)
    game.start(0)
    game.end(2_999)
    assert (game.status, game.survival_ms, game.started_at) == (Status.FINISHED, 0, None)


def test_a_countdown_that_was_over_unnoticed_when_the_host_ended_was_a_game() -> None:
    game = lobby(2, countdown_ms=3_000)
    game.start(0)
    game.end(4_500)
    game.advance(5_000)
    assert (game.status, game.started_at, game.survival_ms) == (Status.FINISHED, 3_000, 1_500)


def test_ending_twice_changes_nothing() -> None:
    game = lobby(2)
    game.end(9_000)
    game.end(10_000)
    assert len(told(game, rooms.SessionFinished)) == 1
    assert game.finished_at == 9_000


def test_a_lobby_has_nothing_due() -> None:
    assert lobby(2).due_at is None
    assert running(2).due_at == 75_000
