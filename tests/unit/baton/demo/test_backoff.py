import random

import pytest

from baton.demo.backoff import full_jitter, may_come_back


@pytest.mark.parametrize("code", [1006, 1012, 3000, 3499, 4000, 4001, 4499])
def test_these_closes_invite_to_come_back(code: int) -> None:
    assert may_come_back(code)


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 2999, 3500, 3999, 4500, 4503, 4999])
def test_these_closes_do_not(code: int) -> None:
    assert not may_come_back(code)


@pytest.mark.parametrize(("attempt", "most"), [(0, 0.5), (1, 1.0), (3, 4.0), (5, 16.0), (6, 20.0), (5_000, 20.0)])
def test_the_wait_is_spread_over_a_doubling_range_up_to_the_limit(attempt: int, most: float) -> None:
    chance = random.Random(7)
    waits = [full_jitter(attempt, chance) for _ in range(2_000)]
    assert 0.0 <= min(waits) < most * 0.05
    assert most * 0.95 < max(waits) <= most
    assert sum(waits) / len(waits) == pytest.approx(most / 2, rel=0.1)
