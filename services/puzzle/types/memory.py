"""Memory: which colour was number N?"""

import msgspec

from services.puzzle.types.base import Generated, InvalidAnswer, Json, PuzzleType
from services.puzzle.types.colours import PALETTE
from services.puzzle.types.draw import Draw

NUMBERS = {1: 3, 2: 4, 3: 5, 4: 6, 5: 8}
REVEAL_MS = {1: 6_000, 2: 5_000, 3: 5_000, 4: 4_500, 5: 4_500}
ANSWER_MS = 10_000


class MemoryAnswer(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    colour: str


class Memory(PuzzleType[MemoryAnswer]):
    """Numbers and colours are shown for a while, then one number is asked for."""

    name = "memory"
    version = 1
    skill = "Short-term memory"
    answer_type = MemoryAnswer

    def time_limit_ms(self, difficulty: int) -> int:
        return REVEAL_MS[difficulty] + ANSWER_MS

    def guess_rate(self, difficulty: int) -> float:
        return 1 / NUMBERS[difficulty]

    def deal(self, draw: Draw, difficulty: int) -> Generated:
        colours = draw.sample(PALETTE, NUMBERS[difficulty])
        question = draw.between(1, len(colours))
        view = {
            "mapping": {str(number): colour for number, colour in enumerate(colours, start=1)},
            "reveal_ms": REVEAL_MS[difficulty],
            "question": question,
            # Always in the palette's order, so the order tells nothing. By chance the mapping may have it too: to
            # forbid that would make the other places likelier, which *would* tell something.
            "choices": [colour for colour in PALETTE if colour in colours],
        }
        return Generated(view=view, hidden={"colour": colours[question - 1]})

    def judge(self, view: Json, hidden: Json, answer: MemoryAnswer) -> bool:
        if answer.colour not in view["choices"]:
            raise InvalidAnswer("Not one of the choices - at `$.colour`")
        return bool(answer.colour == hidden["colour"])
