"""What memory, concentration and multitasking show at each difficulty. The rest is proved by the kit."""

from collections import Counter

import pytest

from services.puzzle.types.base import InvalidAnswer
from services.puzzle.types.concentration import Concentration
from services.puzzle.types.memory import Memory
from services.puzzle.types.multitasking import Multitasking


@pytest.mark.parametrize(("difficulty", "numbers"), [(1, 3), (2, 4), (3, 5), (4, 6), (5, 8)])
def test_memory_maps_each_number_to_another_colour_and_offers_just_these(difficulty: int, numbers: int) -> None:
    for seed in range(50):
        view = Memory().generate(seed, difficulty).view
        assert list(view["mapping"]) == [str(number) for number in range(1, numbers + 1)]
        assert sorted(view["choices"]) == sorted(set(view["mapping"].values()))
        assert len(view["choices"]) == numbers
        assert 1 <= view["question"] <= numbers


def test_the_order_of_the_choices_tells_nothing_of_the_mapping() -> None:
    orders: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for seed in range(5_000):
        view = Memory().generate(seed, 1).view
        orders.setdefault(tuple(view["choices"]), set()).add(tuple(view["mapping"].values()))
    # 56 sets of three colours: each is listed in one order, and maps in all six.
    assert len(orders) == 56
    assert {len(mappings) for mappings in orders.values()} == {6}


def test_a_colour_that_is_no_choice_is_no_try() -> None:
    puzzle = Memory().generate(1, 1)
    with pytest.raises(InvalidAnswer, match="choices"):
        Memory().check(puzzle.view, puzzle.hidden, {"colour": "mauve"})


@pytest.mark.parametrize("difficulty", range(1, 6))
def test_concentration_has_one_match_among_ten(difficulty: int) -> None:
    for seed in range(100):
        view = Concentration().generate(seed, difficulty).view
        assert Counter(pair["word"] == pair["circle"] for pair in view["pairs"]) == {False: 9, True: 1}


def test_pairs_go_by_faster_the_harder_it_is() -> None:
    shown = [Concentration().generate(1, difficulty).view["pair_ms"] for difficulty in range(1, 6)]
    assert shown == sorted(set(shown), reverse=True)
    # There is time to see all ten and then to choose.
    assert all(Concentration().time_limit_ms(d) >= 10 * ms + 5_000 for d, ms in enumerate(shown, start=1))


@pytest.mark.parametrize(("difficulty", "count"), [(1, 2), (2, 3), (3, 4), (4, 5), (5, 6)])
def test_multitasking_has_one_six_in_each_row_of_nines(difficulty: int, count: int) -> None:
    for seed in range(50):
        rows = Multitasking().generate(seed, difficulty).view["rows"]
        assert len(rows) == count
        assert all(sorted(row) == sorted("699999999") for row in rows)


def test_a_column_missing_is_no_try() -> None:
    puzzle = Multitasking().generate(1, 2)
    with pytest.raises(InvalidAnswer, match="each of 3 rows"):
        Multitasking().check(puzzle.view, puzzle.hidden, {"columns": [1, 2]})
