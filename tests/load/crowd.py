"""The load client as the benchmark drives it."""

import json
import select
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baton.orphans import dies_with_us
from tests.load.machine import BENCH, BenchError, last_words


@dataclass(frozen=True, slots=True)
class Seat:
    """One connection: its room's index, the number of the last message before it, where it goes, what it says first."""

    room: int
    path: str
    first: str = ""
    seq_before: int = 0


@dataclass(frozen=True, slots=True)
class Manners:
    """How a subject's clients behave. `mark` is what the frame that lets them in holds, "" for the handshake itself."""

    mark: str = ""
    first: str = ""
    """The first frame from all of them, where it is the same for all."""
    headers: tuple[str, ...] = ()
    pinged: str = ""
    pong: str = ""


class Crowd:
    """Clients of one subject. Commands wait for their answer, which is a dict of figures."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self._process = process
        self._log = log

    def open(self, within: float = 120.0) -> dict[str, Any]:
        """Connect all and get them in."""
        return self._ask("open", within)

    def drop(self) -> dict[str, Any]:
        """Cut all connections off at once."""
        return self._ask("drop", 30.0)

    def measure(self, numbers: Sequence[int], pids: Sequence[int]) -> None:
        """Begin to count; `measured` waits for what was counted."""
        self._say(" ".join(map(str, ["measure", *numbers, *pids])))

    def measured(self, within: float) -> dict[str, Any]:
        """What was counted."""
        return self._hear(within)

    def _ask(self, command: str, within: float) -> dict[str, Any]:
        self._say(command)
        return self._hear(within)

    def _say(self, command: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise BenchError(f"the load client ended: {last_words(self._log)}") from None

    def _hear(self, within: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], within)
        line = self._process.stdout.readline() if readable else ""
        if not line:
            reason = "ended" if readable else f"did not answer within {within:.0f} s"
            raise BenchError(f"the load client {reason}: {last_words(self._log)}")
        found: dict[str, Any] = json.loads(line)
        return found


@contextmanager
def crowd(port: int, seats: Sequence[Seat], manners: Manners, folder: Path, *, at_once: int) -> Iterator[Crowd]:
    """A load client for these seats, not yet connected; gone at the end of the block.

    So many may be on their way in at a time.
    """
    plan, log = folder / "seats", folder / "client.log"
    plan.write_text("".join(f"{seat.room}\t{seat.seq_before}\t{seat.path}\t{seat.first}\n" for seat in seats))
    headers = "".join(f"{line}\r\n" for line in manners.headers)
    words = [str(port), str(plan), str(at_once), manners.mark, headers, manners.pinged, manners.pong]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(BENCH / "client"), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
            start_new_session=True,
            preexec_fn=dies_with_us(signal.SIGKILL),
        )
    try:
        yield Crowd(process, log)
    finally:
        process.kill()
        process.communicate()
