"""The bodies of requests and responses. None of a response has a field for what a player may not know."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from contracts.ids import PlayerId, PuzzleId, SessionId
from contracts.puzzles import Verdict
from services.puzzle.types.base import PuzzleType


class _Request(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Response(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class CreatePuzzle(_Request):
    """Asks for a puzzle, of a random type in play unless one is given."""

    player_id: PlayerId
    type: str | None = Field(None, max_length=64)


class Answer(_Request):
    """What `answer` has to hold, the type's `answer_schema` says."""

    answer: dict[str, Any]


class PuzzleView(_Response):
    """An open puzzle. Instants are milliseconds since the Unix epoch; an answer at `deadline` comes too late."""

    puzzle_id: PuzzleId
    type: str
    difficulty: int
    view: dict[str, Any]
    opened_at: int
    deadline: int


class ClosedPuzzle(_Response):
    """A closed puzzle, with its solution."""

    puzzle_id: PuzzleId
    type: str
    verdict: Verdict
    solution: dict[str, Any]
    opened_at: int
    closed_at: int


class CurrentPuzzle(_Response):
    """A player's open puzzle."""

    session_id: SessionId
    player_id: PlayerId
    puzzle: PuzzleView


class AnswerResult(_Response):
    """The verdict on an answer, and the puzzle that comes next."""

    puzzle_id: PuzzleId
    verdict: Verdict
    closed: ClosedPuzzle
    next: PuzzleView


class Type(_Response):
    """What anybody may know of a puzzle type. Limits and rates by difficulty."""

    name: str
    version: int
    skill: str
    time_limit_ms: dict[str, int]
    guess_rate: dict[str, float]
    max_answer_bytes: int
    answer_schema: dict[str, Any]

    @classmethod
    def of(cls, kind: PuzzleType[Any]) -> "Type":
        """The description of an installed type."""
        described = kind.describe()
        levels = described.pop("levels")
        return cls(
            **described,
            time_limit_ms={str(level["difficulty"]): level["time_limit_ms"] for level in levels},
            guess_rate={str(level["difficulty"]): level["guess_rate"] for level in levels},
        )


class Types(_Response):
    """The installed puzzle types, by name."""

    types: list[Type]
