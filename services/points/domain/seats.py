"""Seats, the ledger's entries, and who is next."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

from msgspec import Raw

from contracts.ids import PlayerId, PuzzleId
from contracts.puzzles import PuzzleView, decode_view
from contracts.rooms import VoidReason
from contracts.rules import AwardTarget


class ForbiddenMoveError(Exception):
    """The session's state does not allow it; `code` says which way."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class Seat:
    """A player in this session."""

    player_id: PlayerId
    seat: int
    name: str
    colour: str
    ready: bool = False
    base: int = 0
    zero_at: int | None = None
    eliminated_at: int | None = None
    solved: int = 0
    failed: int = 0
    expired: int = 0
    puzzle: PuzzleView | Raw | None = None
    """The open one; still as JSON where it was read and nobody has to look into it."""

    @property
    def open_puzzle(self) -> PuzzleView | None:
        return decode_view(self.puzzle) if isinstance(self.puzzle, Raw) else self.puzzle

    @property
    def is_in(self) -> bool:
        return self.eliminated_at is None


SEAT_VALUES = tuple(field.name for field in fields(Seat))
values_of: Callable[[Seat], tuple[Any, ...]] = attrgetter(*SEAT_VALUES)
"""A seat's values, in the order of SEAT_VALUES."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """Why somebody has more or fewer points. `key` is the entry's natural name, and unique for ever.

    `base` is the sum of all amounts of the player's entries up to this one, None where there is no player.
    """

    key: str
    at: int
    kind: str
    amount: int
    player_id: PlayerId | None
    from_player_id: PlayerId | None = None
    puzzle_id: PuzzleId | None = None
    reason: VoidReason | None = None
    base: int | None = None


def receiver_of(seats: Sequence[Seat], solver: Seat, target: AwardTarget) -> Seat | VoidReason:
    """The next seat after the solver's, cyclic and never the solver; with `next_active` the next that is still in."""
    place = seats.index(solver)
    others = [*seats[place + 1 :], *seats[:place]]
    if target is AwardTarget.NEXT_SEAT and others and not others[0].is_in:
        return VoidReason.NEXT_SEAT_OUT
    return next((seat for seat in others if seat.is_in), VoidReason.NOBODY_LEFT)
