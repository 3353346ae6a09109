"""The rules of a session, and the arithmetic of points."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.rules import AwardTarget, Rules
from services.points.domain.rules import InvalidRulesError, parse_rules, points_at, rules_id, zero_at

RULES = Rules()  # 15 points, 1 every 5 000 ms


def test_nobody_has_to_name_a_rule() -> None:
    assert parse_rules({}) == Rules()


def test_given_rules_replace_the_defaults() -> None:
    rules = parse_rules({"award": 7, "award_target": "next_seat", "puzzle_types": ["memory"]})
    assert (rules.award, rules.award_target, rules.puzzle_types) == (7, AwardTarget.NEXT_SEAT, ["memory"])
    assert rules.start_points == 15


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"start_points": 0}, "start_points"),
        ({"start_points": 10_001}, "start_points"),
        ({"decay": 0}, "decay"),
        ({"decay": -1}, "decay"),
        ({"interval_ms": 249}, "interval_ms"),
        ({"interval_ms": 3_600_001}, "interval_ms"),
        ({"award": -1}, "award"),
        ({"penalty": -1}, "penalty"),
        ({"seats": 0}, "seats"),
        ({"seats": 17}, "seats"),
        ({"countdown_ms": -1}, "countdown_ms"),
        ({"countdown_ms": 60_001}, "countdown_ms"),
        ({"difficulty": 0}, "difficulty"),
        ({"difficulty": 6}, "difficulty"),
        ({"award_target": "everybody"}, "award_target"),
        ({"puzzle_types": []}, "puzzle_types"),
        ({"puzzle_types": ["chess"]}, "puzzle_types"),
        ({"puzzle_types": ["memory", "memory"]}, "puzzle_types"),
        ({"puzzle_types": "memory"}, "puzzle_types"),
        ({"puzzle_types": ["memory", None]}, "puzzle_types"),
        ({"award": "5"}, "award"),
        ({"award": 5.5}, "award"),
        ({"award": True}, "award"),
        ({"award": None}, "award"),
        ({"award": 10**30}, "award"),
        ({"award": float("inf")}, "award"),
        ({"award": [5]}, "award"),
        ({"lives": 3}, "lives"),
        ({"award": 1, "Award": 2}, "Award"),
    ],
)
def test_a_bad_rule_is_refused_by_name(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRulesError) as refusal:
        parse_rules(given)
    assert refusal.value.field == field
    assert refusal.value.message


def test_the_bounds_themselves_are_allowed() -> None:
    for bounds in (
        {"start_points": 1, "decay": 1, "interval_ms": 250, "award": 0, "penalty": 0, "seats": 1, "countdown_ms": 0},
        {"start_points": 10_000, "decay": 1_000, "interval_ms": 3_600_000, "award": 10_000, "seats": 16},
    ):
        parse_rules(bounds)


def test_a_type_of_an_installed_plug_in_is_known() -> None:
    assert parse_rules({"puzzle_types": ["chess"]}, frozenset({"chess"})).puzzle_types == ["chess"]


@pytest.mark.parametrize(
    ("at", "points"),
    [(1_000, 15), (5_999, 15), (6_000, 14), (6_001, 14), (10_999, 14), (11_000, 13), (75_999, 1), (76_000, 0)],
)
def test_points_fall_at_each_full_interval_since_the_start(at: int, points: int) -> None:
    assert points_at(RULES, 1_000, 15, at) == points


def test_points_never_fall_under_zero() -> None:
    assert points_at(RULES, 0, 15, 10**12) == 0


@pytest.mark.parametrize(("base", "decay", "ticks"), [(15, 1, 15), (15, 4, 4), (16, 4, 4), (17, 4, 5), (1, 1_000, 1)])
def test_zero_is_reached_at_the_first_tick_that_leaves_nothing(base: int, decay: int, ticks: int) -> None:
    rules = Rules(decay=decay)
    assert zero_at(rules, 1_000, base, 1_000) == 1_000 + ticks * 5_000


def test_whoever_has_nothing_left_is_at_zero_now_and_not_in_the_past() -> None:
    assert zero_at(RULES, 0, 3, 17_500) == 17_500


@given(
    decay=st.integers(1, 50),
    interval=st.integers(250, 10_000),
    base=st.integers(1, 500),
    started_at=st.integers(0, 2**41),
)
def test_zero_at_is_exactly_the_first_instant_without_points(
    decay: int, interval: int, base: int, started_at: int
) -> None:
    rules = Rules(decay=decay, interval_ms=interval)
    zero = zero_at(rules, started_at, base, started_at)
    assert points_at(rules, started_at, base, zero) == 0
    assert points_at(rules, started_at, base, zero - 1) > 0


def test_a_set_of_rules_has_a_name_for_ever() -> None:
    """Results are kept under it."""
    assert rules_id(Rules()) == "c698ef43f6053a7a"


def test_rules_that_make_a_difference_make_another_name() -> None:
    others = {"award_target": "next_seat", "puzzle_types": ["memory"], "difficulty": 3, "seats": 5, "penalty": 1}
    names = {rules_id(parse_rules({field: value})) for field, value in others.items()}
    assert len(names | {rules_id(Rules())}) == len(others) + 1


def test_neither_the_countdown_nor_the_order_of_types_makes_another_name() -> None:
    types = ["spatial", "memory", "multitasking", "concentration"]
    assert rules_id(parse_rules({"countdown_ms": 1, "puzzle_types": types})) == rules_id(Rules())
