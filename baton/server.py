"""What the embedded servers have in common: started, waited for, stopped, and gone when we are gone."""

import os
import re
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from baton.orphans import dies_with_us, signal_group
from baton.ports import any_free
from baton.unprivileged import make_folder, place_for, server_user


class ServerError(Exception):
    """A server did not start; the message ends with what it wrote last."""


class Server(ABC):
    """One server process on the loopback address, with its data in a folder of its own.

    Call `start` from the main thread: the server ends with the thread that started it. The address stays the
    same over `stop` or `kill` and another `start`.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]
    death_signal: ClassVar[signal.Signals]
    passing_troubles: ClassVar[str]
    """What its last words hold when another try a moment later may succeed (a pattern)."""

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self.user = server_user()
        self.home = place_for(folder, self.user)
        self.port = port or any_free()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log_file(self) -> Path:
        return self.home / "log"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @abstractmethod
    def prepare(self) -> None:
        """What the first start needs; must be harmless on every later one."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command line."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server does its work now. Returns within about a second."""

    def start(self, within: float = 30.0) -> None:
        """Return when the server answers. Raises ServerError when it does not within `within` seconds."""
        if self.pid is not None:
            return
        make_folder(self.home, self.user)
        self.prepare()
        deadline = time.monotonic() + within
        self._launch()
        while not self.answers():
            if self.pid is None:
                if time.monotonic() > deadline or not re.search(self.passing_troubles, self.last_words()):
                    raise ServerError(f"{self.name} ended as it was started:{self.last_words()}")
                self._launch()
            if time.monotonic() > deadline:
                self.kill()
                raise ServerError(f"{self.name} did not answer within {within:.0f} s:{self.last_words()}")
            time.sleep(0.02)

    def stop(self, within: float = 15.0) -> None:
        """Let the server end in good order; kill it when it takes longer than `within` seconds."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(self.stop_signal)
            try:
                self._process.wait(within)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._bury()

    def kill(self) -> None:
        """End it as a crash would: kill -9, to the server and all its children."""
        if self._process is not None:
            self._bury()

    def wipe(self) -> None:
        """Forget everything the server keeps. Only while it does not run."""
        if self.pid is not None:
            raise ServerError(f"{self.name} runs: its data cannot be wiped now")
        shutil.rmtree(self.home, ignore_errors=True)
        if self.home.exists():
            raise ServerError(f"{self.name}: {self.home} could not be removed")

    def last_words(self, lines: int = 15) -> str:
        """The end of the server's log, to stand below an error."""
        written = self.log_file.read_text(errors="replace").splitlines()[-lines:]
        return "".join(f"\n  {line}" for line in written) if written else " it wrote nothing"

    def run_program(self, command: list[str], within: float = 60.0) -> None:
        """Run a program that comes with the server, as its user. Raises ServerError with its output."""
        with self.log_file.open("wb") as log:
            process = self._popen(command, log.fileno())
        try:
            code = process.wait(within)
        except subprocess.TimeoutExpired:
            signal_group(process.pid, signal.SIGKILL)
            code = process.wait()
        if code != 0:
            raise ServerError(f"{Path(command[0]).name} ended with code {code}:{self.last_words()}")

    def _launch(self) -> None:
        with self.log_file.open("wb") as log:
            self._process = self._popen(self.command(), log.fileno())

    def _popen(self, command: list[str], output: int) -> subprocess.Popen[bytes]:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
        return subprocess.Popen(
            command,
            env=environment,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=dies_with_us(self.death_signal),
            user=None if self.user is None else self.user.uid,
            group=None if self.user is None else self.user.gid,
            extra_groups=None if self.user is None else [],
        )

    def _bury(self) -> None:
        if self._process is not None:
            signal_group(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
