import asyncio
from collections.abc import Sequence

import pytest

from services.kit import grouping
from services.kit.grouping import Alone, Grouped

APART_S = 0.5

Groups = list[list[str]]


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> Groups:
    monkeypatch.setattr(grouping, "APART_S", APART_S)
    return []


@pytest.fixture
def grouped(groups: Groups) -> Grouped[str, str]:
    async def together(items: Sequence[str]) -> list[str | Exception]:
        groups.append(list(items))
        if "poison" in items:
            raise RuntimeError
        return [Alone() if item == "held" else ValueError(item) if item == "wrong" else item.upper() for item in items]

    async def alone(item: str) -> str:
        if item == "poison":
            raise LookupError(item)
        return item.title()

    return Grouped(together, alone)


async def test_what_comes_shortly_after_a_group_shares_the_next(groups: Groups, grouped: Grouped[str, str]) -> None:
    assert await grouped.submit("a") == "A"
    second = asyncio.create_task(grouped.submit("b"))
    await asyncio.sleep(APART_S / 20)
    assert list(await asyncio.gather(second, grouped.submit("c"))) == ["B", "C"]
    assert groups == [["a"], ["b", "c"]]


async def test_what_comes_long_after_a_group_waits_for_nothing(groups: Groups, grouped: Grouped[str, str]) -> None:
    await grouped.submit("a")
    await asyncio.sleep(APART_S)
    async with asyncio.timeout(APART_S / 2):
        await grouped.submit("b")
    assert groups == [["a"], ["b"]]


async def test_each_item_has_its_own_outcome(grouped: Grouped[str, str]) -> None:
    items = "good", "wrong", "held"
    good, wrong, held = await asyncio.gather(*map(grouped.submit, items), return_exceptions=True)
    assert (good, held) == ("GOOD", "Held")
    assert isinstance(wrong, ValueError)


async def test_where_a_group_fails_each_item_is_handled_by_itself(grouped: Grouped[str, str]) -> None:
    items = "good", "poison", "other"
    good, poison, other = await asyncio.gather(*map(grouped.submit, items), return_exceptions=True)
    assert (good, other) == ("Good", "Other")
    assert isinstance(poison, LookupError)
