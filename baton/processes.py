"""A child process that is watched: its output is passed on by lines, and it is started again when it dies."""

import asyncio
import os
import re
import signal
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from baton.logs import LineSplitter
from baton.orphans import dies_with_us, signal_group

EXIT_CONFIGURATION = 78
"""A process ends with this code when its settings are wrong: starting it again would not help."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to start, and how to tell that it is ready.

    By an address that answers 200, by an answer to a ping over a broker (its address, the worker's name), or by a line
    of its log. With none of the three it counts as ready when it runs.
    """

    name: str
    words: list[str]
    environment: Mapping[str, str]
    folder: Path
    ready_url: str | None = None
    ready_ping: tuple[str, str] | None = None
    ready_line: str | None = None
    stop_within: float = 10.0


class DiedForGoodError(Exception):
    """A process died so often, or in such a way, that it is not started again."""


@dataclass(slots=True)
class RestartPolicy:
    """Wait longer after each death; give up after `limit` deaths within `window` seconds."""

    limit: int = 5
    window: float = 30.0
    first_delay: float = 0.25
    longest_delay: float = 5.0
    _deaths: deque[float] = field(default_factory=deque)

    def delay_after_death(self, code: int, now: float) -> float | None:
        """Seconds to wait before the next start; None for not again. `now` is any clock that only goes forward."""
        self._deaths.append(now)
        while self._deaths[0] < now - self.window:
            self._deaths.popleft()
        if code == EXIT_CONFIGURATION or len(self._deaths) >= self.limit:
            return None
        return min(self.first_delay * 2.0 ** (len(self._deaths) - 1), self.longest_delay)


def describe(code: int) -> str:
    """A process's end in words."""
    if code < 0:
        try:
            return f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"was killed by signal {-code}"
    return f"ended with code {code}"


class Child:
    """One process under supervision. `run` it as a task; `stop` ends both.

    Its leader has a session of its own, so that Ctrl-C reaches us alone, and what a dead leader leaves of its group
    is killed before it is started again.
    """

    def __init__(self, command: Command, say: Callable[[str, str], None], policy: RestartPolicy | None = None) -> None:
        self.command = command
        self.ready = asyncio.Event()
        self._say = say
        self._policy = policy or RestartPolicy()
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def name(self) -> str:
        return self.command.name

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def run(self) -> None:
        """Keep it running until `stop`. Raises DiedForGoodError."""
        while not self._stopping.is_set():
            code = await self._run_once()
            if self._stopping.is_set():
                return
            self.ready.clear()
            delay = self._policy.delay_after_death(code, asyncio.get_running_loop().time())
            if delay is None:
                raise DiedForGoodError(f"{self.name} {describe(code)}, and is not started again")
            self._say(self.name, f"{describe(code)}; it is started again in {delay:.2f} s")
            await _wait(self._stopping, delay)

    async def stop(self) -> None:
        """Ask it to end, and kill it and all its children when it has not ended `stop_within` seconds later."""
        self._stopping.set()
        if self.pid is None:
            return
        self._signal(signal.SIGTERM)
        if not await _wait(self._ended, self.command.stop_within):
            self._say(self.name, f"did not end within {self.command.stop_within:.0f} s and is killed")
            self.kill()
            await self._ended.wait()

    def kill(self) -> None:
        """Kill it and its whole group at once."""
        self._stopping.set()
        if self._process is not None:
            signal_group(self._process.pid, signal.SIGKILL)

    async def _run_once(self) -> int:
        self._ended.clear()
        # A pipe of our own: asyncio's wait() waits for its pipes too, and what a dead child leaves holds them open.
        read_end, write_end = os.pipe()
        relay = asyncio.create_task(self._relay(read_end), name=f"{self.name} output")
        try:
            try:
                self._process = process = await asyncio.create_subprocess_exec(
                    *self.command.words,
                    env=dict(self.command.environment),
                    cwd=self.command.folder,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=write_end,
                    stderr=write_end,
                    start_new_session=True,
                    preexec_fn=dies_with_us(signal.SIGKILL),
                )
            finally:
                os.close(write_end)
            if self._stopping.is_set():  # stop was called while it was being started
                self._signal(signal.SIGTERM)
            code = await process.wait()
            signal_group(process.pid, signal.SIGKILL)
            await asyncio.wait([relay], timeout=2)
            return code
        finally:
            relay.cancel()
            self._ended.set()

    async def _relay(self, read_end: int) -> None:
        splitter = LineSplitter()
        reader = asyncio.StreamReader()
        with os.fdopen(read_end, "rb", buffering=0) as pipe:
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), pipe
            )
            try:
                while data := await reader.read(65_536):
                    self._pass_on(splitter.feed(data))
                self._pass_on(splitter.end())
            finally:
                transport.close()

    def _pass_on(self, lines: list[str]) -> None:
        for line in lines:
            self._say(self.name, line)
            if self.command.ready_line is not None and re.search(self.command.ready_line, line):
                self.ready.set()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
