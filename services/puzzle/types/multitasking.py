"""Multitasking: find the 6 in each of several rows of 9s."""

from typing import Annotated

import msgspec

from services.puzzle.types.base import Generated, InvalidAnswer, Json, PuzzleType
from services.puzzle.types.draw import Draw

ROWS = {1: 2, 2: 3, 3: 4, 4: 5, 5: 6}
LENGTH = 9
BASE_MS = 5_000
ROW_MS = 2_500

Column = Annotated[int, msgspec.Meta(ge=0, le=LENGTH - 1)]


class MultitaskingAnswer(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    columns: Annotated[list[Column], msgspec.Meta(min_length=1, max_length=max(ROWS.values()))]


class Multitasking(PuzzleType[MultitaskingAnswer]):
    """One odd digit in each row; all of them are due before the time is up."""

    name = "multitasking"
    version = 1
    skill = "Multitasking"
    answer_type = MultitaskingAnswer

    def time_limit_ms(self, difficulty: int) -> int:
        return BASE_MS + ROW_MS * ROWS[difficulty]

    def guess_rate(self, difficulty: int) -> float:
        return float((1 / LENGTH) ** ROWS[difficulty])

    def deal(self, draw: Draw, difficulty: int) -> Generated:
        columns = [draw.below(LENGTH) for _ in range(ROWS[difficulty])]
        rows = ["9" * column + "6" + "9" * (LENGTH - 1 - column) for column in columns]
        return Generated(view={"rows": rows}, hidden={"columns": columns})

    def judge(self, view: Json, hidden: Json, answer: MultitaskingAnswer) -> bool:
        if len(answer.columns) != len(view["rows"]):
            raise InvalidAnswer(f"Expected one column for each of {len(view['rows'])} rows - at `$.columns`")
        return bool(answer.columns == hidden["columns"])
