"""The one source of chance for puzzles: the same key draws the same values for ever, on any machine.

`random.Random` promises this for `random()` alone; `shuffle`, `sample` and `randrange` have changed between
Python versions. So the stream is spelled out here: block *i* is the SHA-256 of "<key>/<i>" in UTF-8, read as four
big-endian 64-bit words. While the key is secret, what was drawn tells nothing of what else was drawn.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import TypeVar

T = TypeVar("T")

_WORDS = 1 << 64


class Draw:
    """A reproducible stream of uniform draws."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._blocks = 0
        self._words: list[int] = []

    def below(self, bound: int) -> int:
        """A whole number from 0 to `bound` - 1, each exactly as likely. `bound` is 1 or more."""
        if bound < 1:
            raise ValueError("nothing to draw from")
        # Words in the last, incomplete stretch would favour small numbers: draw again.
        limit = _WORDS - _WORDS % bound
        while (word := self._word()) >= limit:
            pass
        return word % bound

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def pick(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.below(len(items))]

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        """`count` different items in random order."""
        rest = list(items)
        if not 0 <= count <= len(rest):
            raise ValueError("cannot draw more items than there are")
        return [rest.pop(self.below(len(rest))) for _ in range(count)]

    def _word(self) -> int:
        if not self._words:
            block = sha256(f"{self._key}/{self._blocks}".encode()).digest()
            self._blocks += 1
            self._words = [int.from_bytes(block[at : at + 8], "big") for at in (24, 16, 8, 0)]
        return self._words.pop()
