import random
from collections import Counter

import msgspec
import pytest

from baton.demo.pace import DOZING, THINKING_S, Move, choose_move, demo_rules, thinking_s
from baton.demo.solvers import SOLVERS
from contracts.rules import Rules


@pytest.mark.parametrize("skill", [0.0, 0.5, 0.9, 1.0])
def test_bots_are_as_right_as_their_skill(skill: float) -> None:
    chance = random.Random(1)
    moves = Counter(choose_move(skill, chance) for _ in range(10_000))
    assert moves[Move.RIGHT] / 10_000 == pytest.approx(skill, abs=0.02)
    assert moves[Move.NOTHING] / 10_000 == pytest.approx((1 - skill) * DOZING, abs=0.02)


def test_how_long_bots_think_is_known_of_every_type_they_can_solve() -> None:
    assert THINKING_S.keys() == SOLVERS.keys()


@pytest.mark.parametrize("speed", [0.5, 1.0, 10.0])
def test_bots_think_in_proportion_to_their_speed(speed: float) -> None:
    chance = random.Random(2)
    times = sorted(thinking_s("memory", speed, chance) for _ in range(10_000))
    assert times[5_000] == pytest.approx(THINKING_S["memory"] / speed, rel=0.03)


@pytest.mark.parametrize("skill", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("speed", [0.1, 1.0, 3.0, 50.0])
def test_the_rules_are_rules_that_take_more_than_bots_can_give(skill: float, speed: float) -> None:
    rules = msgspec.convert(demo_rules(skill, speed), Rules)
    assert rules.interval_ms >= 250
    given_per_s = rules.award * skill / (sum(THINKING_S.values()) / len(THINKING_S)) * speed
    taken_per_s = rules.decay * 1000 / rules.interval_ms
    assert taken_per_s > given_per_s
