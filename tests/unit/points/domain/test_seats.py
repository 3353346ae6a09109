"""Who is next."""

from uuid import uuid4

import pytest

from contracts.ids import PlayerId
from contracts.rooms import VoidReason
from contracts.rules import AwardTarget
from services.points.domain.seats import Seat, receiver_of


def seats(*states: str) -> list[Seat]:
    """`in` or `out` for each; numbered with a hole, as after somebody left the lobby."""
    return [
        Seat(PlayerId(uuid4()), 2 * n, f"P{n}", "#000000", eliminated_at=None if state == "in" else 1)
        for n, state in enumerate(states)
    ]


@pytest.mark.parametrize(
    ("states", "solver", "receiver"),
    [
        (["in", "in", "in"], 0, 1),
        (["in", "in", "in"], 2, 0),
        (["in", "out", "in"], 0, 2),
        (["in", "out", "out", "in"], 3, 0),
        (["in", "out", "out", "in"], 0, 3),
        (["out", "in", "in", "out"], 2, 1),
    ],
)
def test_the_next_who_is_still_in_is_given_the_points(states: list[str], solver: int, receiver: int) -> None:
    table = seats(*states)
    assert receiver_of(table, table[solver], AwardTarget.NEXT_ACTIVE) is table[receiver]


@pytest.mark.parametrize("states", [["in"], ["in", "out"], ["in", "out", "out"]])
def test_never_the_solver_so_with_nobody_else_it_is_void(states: list[str]) -> None:
    table = seats(*states)
    assert receiver_of(table, table[0], AwardTarget.NEXT_ACTIVE) is VoidReason.NOBODY_LEFT


def test_next_seat_means_that_one_seat() -> None:
    table = seats("in", "in", "in")
    assert receiver_of(table, table[0], AwardTarget.NEXT_SEAT) is table[1]
    assert receiver_of(table, table[2], AwardTarget.NEXT_SEAT) is table[0]


def test_next_seat_is_void_when_that_seat_is_out_though_others_are_in() -> None:
    table = seats("in", "out", "in")
    assert receiver_of(table, table[0], AwardTarget.NEXT_SEAT) is VoidReason.NEXT_SEAT_OUT
    assert receiver_of(table, table[2], AwardTarget.NEXT_SEAT) is table[0]


def test_next_seat_of_a_single_player_is_nobody() -> None:
    table = seats("in")
    assert receiver_of(table, table[0], AwardTarget.NEXT_SEAT) is VoidReason.NOBODY_LEFT
