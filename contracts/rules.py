"""The rules of one session."""

from enum import StrEnum

import msgspec
from msgspec import Struct


class AwardTarget(StrEnum):
    """Who is given the points of a solved puzzle."""

    NEXT_ACTIVE = "next_active"
    NEXT_SEAT = "next_seat"


class Rules(Struct, frozen=True, kw_only=True):
    """The rules of one session, fixed when it starts. Durations in milliseconds."""

    start_points: int = 15
    decay: int = 1
    interval_ms: int = 5_000
    award: int = 5
    penalty: int = 0
    seats: int = 4
    countdown_ms: int = 5_000
    award_target: AwardTarget = AwardTarget.NEXT_ACTIVE
    puzzle_types: list[str] = msgspec.field(
        default_factory=lambda: ["concentration", "memory", "multitasking", "spatial"]
    )
    difficulty: int = 2
