"""The kit itself: each of these types breaks one promise, and has to be caught at it."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest

from services.puzzle.types.base import Generated, Json
from services.puzzle.types.concentration import Concentration, ConcentrationAnswer
from services.puzzle.types.draw import Draw
from services.puzzle.types.memory import Memory, MemoryAnswer
from tests.unit.puzzle.types import kit
from tests.unit.puzzle.types.subjects import CONCENTRATION, MEMORY


class StatesTheMatch(Concentration):
    def deal(self, draw: Draw, difficulty: int) -> Generated:
        puzzle = super().deal(draw, difficulty)
        for pair in puzzle.view["pairs"]:
            pair["is_match"] = pair["word"] == pair["circle"]
        return puzzle


class FavoursTheFirst(Concentration):
    def deal(self, draw: Draw, difficulty: int) -> Generated:
        if draw.below(10):
            return super().deal(draw, difficulty)
        pairs = [{"word": "red", "circle": "blue"}] * 9
        return Generated({"pairs": [{"word": "red", "circle": "red"}, *pairs], "pair_ms": 1}, {"index": 0})


class ListsChoicesInSolutionOrder(Memory):
    def deal(self, draw: Draw, difficulty: int) -> Generated:
        puzzle = super().deal(draw, difficulty)
        return Generated({**puzzle.view, "choices": list(puzzle.view["mapping"].values())}, puzzle.hidden)


class TakesAnyIndex(Concentration):
    def judge(self, view: Json, hidden: Json, answer: ConcentrationAnswer) -> bool:
        return True


class TakesNone(Concentration):
    def judge(self, view: Json, hidden: Json, answer: ConcentrationAnswer) -> bool:
        return False


class FailsOnAnUnknownColour(Memory):
    def judge(self, view: Json, hidden: Json, answer: MemoryAnswer) -> bool:
        return bool(view["choices"].index(answer.colour) >= 0)


class Forgets(Concentration):
    calls = count()

    def deal(self, draw: Draw, difficulty: int) -> Generated:
        return super().deal(Draw(str(next(self.calls))), difficulty)


class ChangesNothing(Concentration):
    def time_limit_ms(self, difficulty: int) -> int:
        return 1


class KeepsATuple(Concentration):
    def deal(self, draw: Draw, difficulty: int) -> Generated:
        puzzle = super().deal(draw, difficulty)
        return Generated({**puzzle.view, "pairs": tuple(puzzle.view["pairs"])}, puzzle.hidden)


BROKEN = [
    (replace(CONCENTRATION, type=StatesTheMatch()), kit.prove_that_the_view_does_not_state_the_answer),
    (replace(CONCENTRATION, type=FavoursTheFirst()), kit.prove_that_guessing_pays_as_declared),
    (replace(MEMORY, type=ListsChoicesInSolutionOrder()), kit.prove_that_guessing_pays_as_declared),
    (replace(CONCENTRATION, type=TakesAnyIndex()), kit.prove_that_wrong_answers_are_refused),
    (replace(CONCENTRATION, type=TakesNone()), kit.prove_that_the_view_is_enough_to_solve_it),
    (replace(CONCENTRATION, type=TakesNone()), kit.prove_that_what_is_revealed_is_a_right_answer),
    (replace(MEMORY, type=FailsOnAnUnknownColour()), kit.prove_that_misshapen_answers_are_told_apart),
    (replace(MEMORY, type=FailsOnAnUnknownColour()), kit.prove_that_no_json_breaks_the_check),
    (replace(CONCENTRATION, type=Forgets()), kit.prove_that_a_seed_gives_the_same_puzzle_for_ever),
    (replace(CONCENTRATION, type=ChangesNothing()), kit.prove_that_seeds_and_difficulties_matter),
    (replace(CONCENTRATION, type=KeepsATuple()), kit.prove_that_it_survives_storage),
]


@pytest.mark.parametrize(("subject", "prove"), BROKEN, ids=lambda part: getattr(part, "__name__", None))
def test_a_broken_type_is_caught(subject: kit.Subject, prove: Callable[[kit.Subject], None]) -> None:
    # Failed is what `pytest.raises` throws when nothing was raised; a group is what hypothesis throws for several.
    with pytest.raises((AssertionError, ValueError, pytest.fail.Exception, ExceptionGroup)):
        prove(subject)


def test_every_proof_can_fail() -> None:
    assert {prove for _, prove in BROKEN} == set(kit.PROOFS)
