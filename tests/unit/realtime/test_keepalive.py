import asyncio
from collections import Counter

from services.realtime.keepalive import STEP_S, Wheel


async def test_each_is_called_once_a_turn_until_it_is_removed() -> None:
    wheel, calls = Wheel(turn_s=0.1), Counter[str]()
    loop = asyncio.get_running_loop()
    began, done = loop.time(), asyncio.Event()

    def one() -> None:
        calls.update("a")
        if calls["a"] == 5:
            done.set()

    def other() -> None:
        calls.update("b")

    place, there = wheel.add(one), wheel.add(other)
    async with asyncio.timeout(10):
        await done.wait()
    assert loop.time() - began >= 4 * 0.1 - 0.01
    assert 3 <= calls["b"] <= 6
    wheel.remove(place, one)
    wheel.remove(there, other)
    before = calls["a"]
    await asyncio.sleep(0.25)
    assert calls["a"] == before


async def test_many_who_come_at_once_are_called_at_different_times() -> None:
    wheel, at = Wheel(turn_s=10 * STEP_S), Counter[int]()
    assert len(wheel._slots) == 10
    for number in range(1000):
        at[wheel.add(lambda number=number: None)] += 1  # type: ignore[misc]
    assert all(50 < at[place] < 200 for place in range(10))


async def test_an_empty_wheel_stands() -> None:
    wheel = Wheel(turn_s=1.0)
    place = wheel.add(call := lambda: None)
    assert wheel._timer is not None
    wheel.remove(place, call)
    assert wheel._timer is None
