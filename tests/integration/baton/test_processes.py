"""Supervision of real child processes, with small programs in place of the services."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from baton.processes import EXIT_CONFIGURATION, Child, Command, DiedForGoodError, RestartPolicy
from tests.integration.baton.alive import descendants, is_alive, survivors

pytestmark = pytest.mark.timeout(30)

WAITS = "import time; print('up', flush=True); time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
TELLS_ITS_SETTINGS = """
import os, time
print(sorted(name for name in os.environ if name.startswith("BATON")), flush=True)
print("up", flush=True)
time.sleep(600)
"""
WITH_CHILD = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("up", flush=True)
time.sleep(600)
"""


def program(code: str, folder: Path, *, stop_within: float = 10.0) -> Command:
    return Command(
        "child", [sys.executable, "-c", code], os.environ, folder, ready_line="^up$", stop_within=stop_within
    )


class Lines(list[str]):
    """Hears what a child says."""

    def __init__(self) -> None:
        super().__init__()
        self._more = asyncio.Event()

    def __call__(self, name: str, text: str) -> None:
        assert name == "child"
        self.append(text)
        self._more.set()

    async def until(self, text: str, times: int = 1) -> None:
        """Return when `text` has been said that often."""
        while self.count(text) < times:
            self._more.clear()
            await self._more.wait()


@asynccontextmanager
async def running(command: Command, say: Callable[[str, str], None]) -> AsyncIterator[Child]:
    child = Child(command, say, RestartPolicy(first_delay=0.01))
    task = asyncio.create_task(child.run())
    try:
        await child.ready.wait()
        yield child
    finally:
        await child.stop()
        await task


def pid_of(child: Child) -> int:
    assert child.pid is not None
    return child.pid


async def test_it_is_ready_when_its_log_says_so_and_gone_after_the_stop(tmp_path: Path) -> None:
    lines = Lines()
    async with running(program(WAITS, tmp_path), lines) as child:
        pid = pid_of(child)
        assert is_alive(pid)
    assert lines == ["up"]
    assert not is_alive(pid)


async def test_it_has_its_own_session_so_that_ctrl_c_spares_it(tmp_path: Path) -> None:
    async with running(program(WAITS, tmp_path), Lines()) as child:
        assert os.getsid(pid_of(child)) == pid_of(child) != os.getsid(0)


async def test_it_is_started_again_when_it_is_killed(tmp_path: Path) -> None:
    lines = Lines()
    async with running(program(WAITS, tmp_path), lines) as child:
        first = pid_of(child)
        os.kill(first, signal.SIGKILL)
        await lines.until("up", times=2)
        assert pid_of(child) != first
    assert lines == ["up", "was killed by SIGKILL; it is started again in 0.01 s", "up"]


async def test_what_a_killed_one_leaves_behind_is_killed_too(tmp_path: Path) -> None:
    lines = Lines()
    async with running(program(WITH_CHILD, tmp_path), lines) as child:
        grandchildren = descendants(pid_of(child))
        assert len(grandchildren) == 1
        os.kill(pid_of(child), signal.SIGKILL)
        await lines.until("up", times=2)
        assert survivors(grandchildren) == set()


async def test_one_that_does_not_listen_is_killed_in_the_end(tmp_path: Path) -> None:
    lines = Lines()
    async with running(program(DEAF, tmp_path, stop_within=0.1), lines) as child:
        pid = pid_of(child)
    assert not is_alive(pid)
    assert lines[-1] == "did not end within 0 s and is killed"


async def test_one_that_dies_again_and_again_is_given_up(tmp_path: Path) -> None:
    lines = Lines()
    child = Child(program("raise SystemExit(3)", tmp_path), lines, RestartPolicy(limit=3, first_delay=0.01))
    with pytest.raises(DiedForGoodError, match="child ended with code 3, and is not started again"):
        await child.run()
    assert len(lines) == 2


async def test_one_with_wrong_settings_is_given_up_at_once(tmp_path: Path) -> None:
    child = Child(program(f"print('why'); raise SystemExit({EXIT_CONFIGURATION})", tmp_path), lines := Lines())
    with pytest.raises(DiedForGoodError, match="code 78"):
        await child.run()
    assert lines == ["why"]


async def test_a_stop_while_it_waits_for_its_next_start_ends_it(tmp_path: Path) -> None:
    lines = Lines()
    child = Child(program("raise SystemExit(3)", tmp_path), lines, RestartPolicy(first_delay=600, longest_delay=600))
    task = asyncio.create_task(child.run())
    await lines.until("ended with code 3; it is started again in 600.00 s")
    await child.stop()
    await task
    assert child.pid is None


async def test_its_environment_is_the_one_it_was_given_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATON_LEAKED", "yes")
    command = Command(
        "child", [sys.executable, "-c", TELLS_ITS_SETTINGS], {"BATON_GIVEN": "1"}, tmp_path, ready_line="^up$"
    )
    async with running(command, lines := Lines()):
        assert lines[0] == "['BATON_GIVEN']"
