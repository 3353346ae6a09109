"""Token buckets: so many at once, so many a second in the long run."""

from collections.abc import Hashable
from typing import NamedTuple


class Rate(NamedTuple):
    """So many a second in the long run, and so many at once."""

    per_s: float
    burst: float


class TokenBucket:
    """`burst` tokens at first and at most, refilled with `per_s`. Times are those of a monotonic clock, in seconds."""

    __slots__ = ("_burst", "_per_s", "_seen_at", "_tokens")

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._tokens = burst
        self._seen_at: float | None = None

    def take(self, now: float) -> bool:
        """Take one token, if there is one."""
        if self._seen_at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._seen_at) * self._per_s)
        self._seen_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Buckets:
    """A client's buckets, one a kind, made when they are first asked for: who says nothing has none."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets: dict[Hashable, TokenBucket] | None = None

    def take(self, kind: Hashable, rate: Rate, now: float) -> bool:
        """Take a token from the bucket of that kind, which is refilled with `rate`."""
        if self._buckets is None:
            self._buckets = {}
        if (bucket := self._buckets.get(kind)) is None:
            bucket = self._buckets[kind] = TokenBucket(*rate)
        return bucket.take(now)
