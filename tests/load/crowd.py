"""The load client as the benchmark drives it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.load.commanded import Commanded, commanded
from tests.load.machine import BENCH


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


class Crowd(Commanded):
    """Clients of one subject."""

    def open(self, within: float = 120.0) -> dict[str, Any]:
        """Connect all and get them in."""
        return self.ask("open", within)

    def drop(self) -> dict[str, Any]:
        """Cut all connections off at once."""
        return self.ask("drop", 30.0)

    def measure(self, numbers: Sequence[int], pids: Sequence[int]) -> None:
        """Begin to count; `measured` waits for what was counted."""
        self.say(" ".join(map(str, ["measure", *numbers, *pids])))

    def measured(self, within: float) -> dict[str, Any]:
        """What was counted."""
        return self.hear(within)


@contextmanager
def crowd(port: int, seats: Sequence[Seat], manners: Manners, folder: Path, *, at_once: int) -> Iterator[Crowd]:
    """A load client for these seats, not yet connected; gone at the end of the block.

    So many may be on their way in at a time.
    """
    plan, log = folder / "seats", folder / "client.log"
    plan.write_text("".join(f"{seat.room}\t{seat.seq_before}\t{seat.path}\t{seat.first}\n" for seat in seats))
    headers = "".join(f"{line}\r\n" for line in manners.headers)
    words = [str(port), str(plan), str(at_once), manners.mark, headers, manners.pinged, manners.pong]
    with commanded(Crowd, [str(BENCH / "client"), *words], log) as clients:
        yield clients
