"""The contract of a puzzle type.

A type is pure: no I/O, no clock, no chance but the seed. It deals puzzles and judges answers; everything else
(who may answer, when it is too late, what it pays) is decided elsewhere.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from services.puzzle.types.draw import Draw

Json = dict[str, Any]
AnswerT = TypeVar("AnswerT", bound=msgspec.Struct)

EASIEST, NORMAL, HARDEST = 1, 2, 5
CLOCK_TOLERANCE_MS = 100
"""A client's clock may run a little faster than ours."""


class InvalidAnswer(ValueError):  # noqa: N818 - a verdict on what a player sent, not a fault of ours
    """The answer has the wrong shape for this puzzle: it was no try, and closes nothing. The text says why."""


class Generated(msgspec.Struct, frozen=True):
    """A dealt puzzle. Both parts are JSON objects and are stored as they are; nobody changes them."""

    view: Json
    """What the player sees: all it takes to solve the puzzle by skill, but not the answer."""
    hidden: Json
    """What stays on the server until the puzzle is closed. With the view enough for `check` and `reveal`."""


class PuzzleType(ABC, Generic[AnswerT]):
    """One kind of puzzle. A type sets the attributes and has the four abstract methods; see docs/puzzles.md."""

    name: ClassVar[str]
    """Unique, lower case, never changed: it is stored with each puzzle."""
    version: ClassVar[int]
    """1, 2, 3 … To be raised with every change after which a seed deals another puzzle. Puzzles of an older
    version may still be open when a newer one judges them, so `judge` has to understand their views too."""
    skill: ClassVar[str]
    """What it trains, for people."""
    max_answer_bytes: ClassVar[int] = 1024
    """An answer longer than this as JSON is to be refused unread."""
    answer_type: type[AnswerT]
    """The shape of an answer: a msgspec struct with `forbid_unknown_fields`, each number and length bounded."""

    @abstractmethod
    def time_limit_ms(self, difficulty: int) -> int:
        """How long a player has from the deal on."""

    @abstractmethod
    def guess_rate(self, difficulty: int) -> float:
        """The chance of a single guess made without looking at the puzzle: at most this."""

    @abstractmethod
    def deal(self, draw: Draw, difficulty: int) -> Generated:
        """Make a solvable puzzle. All chance comes from `draw`; the difficulty is a valid one."""

    @abstractmethod
    def judge(self, view: Json, hidden: Json, answer: AnswerT) -> bool:
        """Is it solved? Raises InvalidAnswer if the answer does not fit this view (three rows where two are due)."""

    def generate(self, seed: int, difficulty: int = NORMAL) -> Generated:
        """The puzzle of this seed: always the same for the same version, seed and difficulty.

        Who knows the seed knows the answer: take 63 bits from `secrets`, and keep them to the server.
        Raises ValueError unless the difficulty is 1 to 5.
        """
        if not EASIEST <= difficulty <= HARDEST:
            raise ValueError(f"difficulty must be {EASIEST} to {HARDEST}, not {difficulty}")
        return self.deal(Draw(f"{self.name}/{self.version}/{difficulty}/{seed}"), difficulty)

    def claimed_ms(self, answer: AnswerT) -> int:
        """How long the answer itself says that it took. Unless overridden, it says nothing."""
        return 0

    def check(self, view: Json, hidden: Json, answer: object, elapsed_ms: int | None = None) -> bool:
        """The verdict on an answer as it came out of a JSON parser, `elapsed_ms` after the puzzle was dealt.

        Raises InvalidAnswer, and nothing else, if it has the wrong shape or says that it took longer than that.
        """
        try:
            shaped = msgspec.convert(answer, self.answer_type)
        except msgspec.ValidationError as error:
            raise InvalidAnswer(str(error)) from error
        except UnicodeEncodeError as error:  # JSON may carry half a surrogate pair, which is no text
            raise InvalidAnswer("Text that is not valid Unicode") from error
        if elapsed_ms is not None and self.claimed_ms(shaped) > elapsed_ms + CLOCK_TOLERANCE_MS:
            raise InvalidAnswer("it says that it took longer than the puzzle has been open")
        return self.judge(view, hidden, shaped)

    def reveal(self, view: Json, hidden: Json) -> Json:
        """An answer that `check` accepts, to be shown after the close. Unless overridden, `hidden` is that answer."""
        return hidden

    def answer_schema(self) -> Json:
        """The JSON Schema of an answer. A view may ask for more (its own number of rows, say)."""
        return msgspec.json.schema(self.answer_type)

    def describe(self) -> Json:
        """What anybody may know of the type, as JSON."""
        levels = range(EASIEST, HARDEST + 1)
        return {
            "name": self.name,
            "version": self.version,
            "skill": self.skill,
            "max_answer_bytes": self.max_answer_bytes,
            "answer_schema": self.answer_schema(),
            "levels": [
                {"difficulty": d, "time_limit_ms": self.time_limit_ms(d), "guess_rate": self.guess_rate(d)}
                for d in levels
            ],
        }
