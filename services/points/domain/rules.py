"""The rules of a session and the arithmetic of points. Whole milliseconds and whole points only."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from contracts.rules import Rules

MAX_SEATS = 16

_LIMITS = {
    "start_points": (1, 10_000),
    "decay": (1, 1_000),
    "interval_ms": (250, 3_600_000),
    "award": (0, 10_000),
    "penalty": (0, 10_000),
    "seats": (1, MAX_SEATS),
    "countdown_ms": (0, 60_000),
    "difficulty": (1, 5),
}
KNOWN_PUZZLE_TYPES = frozenset({"concentration", "memory", "multitasking", "spatial"})


class InvalidRulesError(Exception):
    """A rule is out of bounds; `field` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


def parse_rules(given: Mapping[str, Any], puzzle_types: frozenset[str] = KNOWN_PUZZLE_TYPES) -> Rules:
    """Rules from what a host asked for, the defaults for the rest. Raises InvalidRulesError naming the field."""
    for field in given:
        if field not in Rules.__struct_fields__:
            raise InvalidRulesError(str(field), "there is no such rule")
    for field in given:
        try:
            msgspec.convert({field: given[field]}, Rules)
        except (msgspec.ValidationError, UnicodeError) as error:
            raise InvalidRulesError(field, str(error).split(" - at ")[0]) from error
    rules = msgspec.convert(dict(given), Rules)
    for field, (low, high) in _LIMITS.items():
        if not low <= getattr(rules, field) <= high:
            raise InvalidRulesError(field, f"must be between {low} and {high}")
    if not rules.puzzle_types:
        raise InvalidRulesError("puzzle_types", "must name at least one type")
    if len(set(rules.puzzle_types)) != len(rules.puzzle_types):
        raise InvalidRulesError("puzzle_types", "must name each type once")
    if unknown := sorted(set(rules.puzzle_types) - puzzle_types):
        raise InvalidRulesError("puzzle_types", f"unknown: {', '.join(unknown)[:100]}")
    return rules


def comparable(rules: Rules) -> dict[str, Any]:
    """The rules that make a difference to a game, as plain values. The countdown and the order of types make none."""
    plain: dict[str, Any] = msgspec.to_builtins(rules)
    del plain["countdown_ms"]
    return {**plain, "puzzle_types": sorted(rules.puzzle_types)}


def rules_id(rules: Rules) -> str:
    """The name of a set of comparable rules, 16 hexadecimal digits: the same for equal ones, and no other's.

    Results are kept under this name for ever: a rule that is added later has to be left out of `comparable` while it
    has its default, so that earlier names stay.
    """
    return hashlib.sha256(msgspec.json.encode(comparable(rules), order="sorted")).hexdigest()[:16]


def points_at(rules: Rules, started_at: int, base: int, at: int) -> int:
    """What a player with `base` (start + credits - penalties) has at instant `at`, never under 0."""
    return max(0, base - rules.decay * ((at - started_at) // rules.interval_ms))


def zero_at(rules: Rules, started_at: int, base: int, at: int) -> int:
    """The instant at which a player with `base` reaches 0, given what is known at `at`; `at` itself if that is now."""
    ticks = -(-base // rules.decay)
    return max(at, started_at + ticks * rules.interval_ms)
