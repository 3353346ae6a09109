from collections import Counter

import pytest

from services.puzzle.types.draw import Draw


def test_a_key_draws_these_numbers_for_ever() -> None:
    draw = Draw("a key")
    assert [draw.below(1_000_000) for _ in range(6)] == [69_572, 805_181, 781_151, 555_257, 198_221, 352_309]


def test_keys_that_differ_draw_different_numbers() -> None:
    assert Draw("1").below(2**64) != Draw("2").below(2**64)


def test_all_numbers_below_a_bound_are_as_likely() -> None:
    draw = Draw("likely")
    seen = Counter(draw.below(7) for _ in range(7_000))
    assert set(seen) == set(range(7))
    # Five standard deviations of a binomial count with n = 7000 and p = 1/7.
    assert all(abs(count - 1_000) < 147 for count in seen.values())


def test_a_bound_that_does_not_divide_the_words_favours_no_half() -> None:
    # Without drawing again, the lower half of these would come twice as often.
    draw = Draw("fair")
    bound = 3 * 2**62
    low = sum(draw.below(bound) < bound // 3 for _ in range(3_000))
    assert abs(low - 1_000) < 130


def test_both_ends_are_drawn() -> None:
    draw = Draw("ends")
    assert {draw.between(-1, 2) for _ in range(100)} == {-1, 0, 1, 2}
    assert {draw.pick("ab") for _ in range(100)} == {"a", "b"}


def test_a_sample_has_different_items_in_any_order() -> None:
    draw = Draw("sample")
    seen = Counter("".join(draw.sample("abc", 3)) for _ in range(1_200))
    assert sorted(seen) == ["abc", "acb", "bac", "bca", "cab", "cba"]
    assert all(abs(count - 200) < 65 for count in seen.values())


def test_to_draw_from_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing"):
        Draw("x").below(0)
    with pytest.raises(ValueError, match="nothing"):
        Draw("x").pick("")
    with pytest.raises(ValueError, match="more items"):
        Draw("x").sample("ab", 3)
