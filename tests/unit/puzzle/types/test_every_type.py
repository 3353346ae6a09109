import json
from collections.abc import Callable
from pathlib import Path

import pytest

from baton.demo.solvers import SOLVERS, WRONG_ANSWERS
from services.puzzle.types.registry import installed
from tests.unit.puzzle.types.kit import PROOFS, Subject, golden_samples
from tests.unit.puzzle.types.subjects import SUBJECTS

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("prove", PROOFS, ids=lambda prove: prove.__name__)
def test_every_built_in_type_holds_what_it_promises(name: str, prove: Callable[[Subject], None]) -> None:
    prove(SUBJECTS[name])


@pytest.mark.parametrize("name", SUBJECTS)
def test_the_golden_samples_come_out_again(name: str) -> None:
    # As text: a change in the order of keys would be one of the puzzle, too.
    expected = json.dumps(golden_samples(SUBJECTS[name].type), indent=1) + "\n"
    assert (GOLDEN / f"{name}.json").read_text() == expected


def test_every_built_in_type_is_proved_and_played_by_the_bots() -> None:
    names = set(installed(()).names())
    assert names == set(SUBJECTS) == set(SOLVERS) == set(WRONG_ANSWERS)
    assert {path.stem for path in GOLDEN.glob("*.json")} == names
