"""What is still running."""

import time
from collections.abc import Callable, Iterable

import psutil


def is_alive(pid: int) -> bool:
    """Whether the process still does something: one that only waits to be reaped does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def descendants(pid: int) -> set[int]:
    """The children of a process, and theirs."""
    return {child.pid for child in psutil.Process(pid).children(recursive=True)}


def survivors(pids: Iterable[int]) -> set[int]:
    """Those of the processes that still run."""
    return {pid for pid in pids if is_alive(pid)}


def wait_until(condition: Callable[[], bool], within: float, what: str) -> None:
    """Return as soon as the condition holds; fail, saying what was waited for, when it takes too long."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(0.02)
