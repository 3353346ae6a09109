from hypothesis import given
from hypothesis import strategies as st

from services.realtime.buckets import Buckets, Rate, TokenBucket


def test_a_burst_is_allowed_at_once_and_then_only_the_rate() -> None:
    bucket = TokenBucket(per_s=2.0, burst=3.0)
    assert [bucket.take(100.0) for _ in range(5)] == [True, True, True, False, False]
    assert [bucket.take(100.5), bucket.take(100.5)] == [True, False]
    assert [bucket.take(100.75), bucket.take(101.0), bucket.take(101.0)] == [False, True, False]


def test_a_rest_fills_no_more_than_the_burst() -> None:
    bucket = TokenBucket(per_s=2.0, burst=3.0)
    assert bucket.take(0.0)
    assert [bucket.take(1_000_000.0) for _ in range(4)] == [True, True, True, False]


@given(st.floats(0.1, 100), st.floats(1, 50), st.lists(st.floats(0, 10), max_size=200))
def test_never_more_than_the_burst_and_the_rate_together(per_s: float, burst: float, pauses: list[float]) -> None:
    bucket = TokenBucket(per_s, burst)
    now = 1000.0
    taken = 0
    for pause in pauses:
        now += pause
        taken += bucket.take(now)
        assert taken <= burst + (now - 1000.0) * per_s + 1e-6


def test_kinds_have_buckets_of_their_own() -> None:
    buckets, rate = Buckets(), Rate(1, 1)
    assert buckets.take("a", rate, 0.0)
    assert not buckets.take("a", rate, 0.5)
    assert buckets.take("b", rate, 0.5)
    assert buckets.take("a", rate, 1.5)


def test_who_says_nothing_has_no_bucket() -> None:
    assert Buckets()._buckets is None
