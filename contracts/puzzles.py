"""What the world may know of a puzzle: its view while it is open, its solution once it is closed."""

from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct

from contracts.ids import PuzzleId


class Verdict(StrEnum):
    """How a puzzle was closed."""

    SOLVED = "solved"
    FAILED = "failed"
    EXPIRED = "expired"


class PuzzleView(Struct, frozen=True, kw_only=True):
    """An open puzzle as every client may see it. It has no field that could hold the answer.

    Instants are whole milliseconds since the Unix epoch by the database's clock. What happens at `deadline`
    or later comes too late.
    """

    puzzle_id: PuzzleId
    type: str
    difficulty: int
    view: dict[str, Any]
    opened_at: int
    deadline: int


decode_view = msgspec.json.Decoder(PuzzleView).decode


class ClosedPuzzle(Struct, frozen=True, kw_only=True):
    """A closed puzzle: nothing can be won by it any more, so the solution may be told."""

    puzzle_id: PuzzleId
    type: str
    verdict: Verdict
    solution: dict[str, Any]
    opened_at: int
    closed_at: int
