"""A load client in C: commands on its stdin, each answered by a line of JSON."""

import json
import select
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from baton.orphans import dies_with_us
from tests.load.machine import BenchError, last_words


class Commanded:
    """A running load client. Commands wait for their answer, which is a dict of figures."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self._process = process
        self._log = log

    def ask(self, command: str, within: float) -> dict[str, Any]:
        """Command, and wait for the answer. Raises BenchError, with what the client wrote last, when none comes."""
        self.say(command)
        return self.hear(within)

    def say(self, command: str) -> None:
        """Command, and do not wait. Raises BenchError where the client has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise BenchError(f"the load client ended: {last_words(self._log)}") from None

    def hear(self, within: float) -> dict[str, Any]:
        """The next answer. Raises BenchError."""
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], within)
        line = self._process.stdout.readline() if readable else ""
        if not line:
            reason = "ended" if readable else f"did not answer within {within:.0f} s"
            raise BenchError(f"the load client {reason}: {last_words(self._log)}")
        found: dict[str, Any] = json.loads(line)
        return found


CommandedT = TypeVar("CommandedT", bound=Commanded)


@contextmanager
def commanded(kind: type[CommandedT], words: Sequence[str], log: Path) -> Iterator[CommandedT]:
    """The load client that these words start; gone at the end of the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
            start_new_session=True,
            preexec_fn=dies_with_us(signal.SIGKILL),
        )
    try:
        yield kind(process, log)
    finally:
        process.kill()
        process.communicate()
