"""Concentration: in one pair of ten, the word names the circle's colour."""

from typing import Annotated

import msgspec

from services.puzzle.types.base import Generated, Json, PuzzleType
from services.puzzle.types.colours import PALETTE
from services.puzzle.types.draw import Draw

PAIRS = 10
PAIR_MS = {1: 2_500, 2: 2_000, 3: 1_500, 4: 1_200, 5: 900}
ANSWER_MS = 5_000


class ConcentrationAnswer(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    index: Annotated[int, msgspec.Meta(ge=0, le=PAIRS - 1)]


class Concentration(PuzzleType[ConcentrationAnswer]):
    """Pairs go by, one after the other; the player says which one matched."""

    name = "concentration"
    version = 1
    skill = "Concentration"
    answer_type = ConcentrationAnswer

    def time_limit_ms(self, difficulty: int) -> int:
        return PAIRS * PAIR_MS[difficulty] + ANSWER_MS

    def guess_rate(self, difficulty: int) -> float:
        return 1 / PAIRS

    def deal(self, draw: Draw, difficulty: int) -> Generated:
        match = draw.below(PAIRS)
        pairs = []
        for place in range(PAIRS):
            word = draw.pick(PALETTE)
            other = draw.pick([colour for colour in PALETTE if colour != word])
            pairs.append({"word": word, "circle": word if place == match else other})
        return Generated(view={"pairs": pairs, "pair_ms": PAIR_MS[difficulty]}, hidden={"index": match})

    def judge(self, view: Json, hidden: Json, answer: ConcentrationAnswer) -> bool:
        return bool(answer.index == hidden["index"])
