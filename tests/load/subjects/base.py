"""What the benchmark asks of everything that it measures."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psutil

from services.kit.rooms import EVENTS_KEPT, SHA, TIME_TO_LIVE_MS
from tests.load.crowd import Manners, Seat
from tests.load.machine import BENCH
from tests.load.rooms import EPOCH, BenchRoom
from tests.load.workloads import Workload

FIRST_SEQ = 2
"""The number of the first message; 1 is the event that each room begins with."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a run takes place."""

    folder: Path
    valkey_port: int
    redis_url: str
    port: int
    """Where the subject is to listen."""

    @property
    def log(self) -> Path:
        """Where the subject's output goes."""
        return self.folder / "subject.log"


@dataclass(frozen=True, slots=True)
class Stream:
    """What is published: message i to room i mod rooms, due at `start_us` + i / rate by the monotonic clock."""

    rooms: Sequence[BenchRoom]
    start_us: int
    rate: int
    total: int
    tail: str


class Subject(ABC):
    """Something that passes messages on to WebSocket clients."""

    name: ClassVar[str]
    is_peer: ClassVar[bool] = True
    manners: ClassVar[Manners]
    rates: ClassVar[Mapping[str, int]] = {}
    """Messages a second by workload, where it cannot bear the workload's own."""
    lead_s: ClassVar[float] = 0.5
    """How long its publisher takes to be ready."""

    def rate(self, workload: Workload) -> int:
        """Messages a second that it is given."""
        return self.rates.get(workload.name, workload.rate)

    def prepare(self) -> None:  # noqa: B027 (some need nothing)
        """Install what it needs. Raises BenchError where it cannot be measured on this machine."""

    @abstractmethod
    def serve(self, site: Site) -> AbstractContextManager[psutil.Process]:
        """The subject, ready for clients, to the end of the block. Raises BenchError."""

    @abstractmethod
    def seats(self, rooms: Sequence[BenchRoom], workload: Workload) -> list[Seat]:
        """The connections of a workload."""

    @abstractmethod
    def publisher(self, site: Site, stream: Stream) -> list[str]:
        """The command that publishes the stream."""


def room_script(site: Site, stream: Stream) -> list[str]:
    """Publish as points does: by the full room script."""
    return publisher(site.valkey_port, site, stream, "script", SHA, EPOCH, str(EVENTS_KEPT), str(TIME_TO_LIVE_MS))


def publisher(port: int, site: Site, stream: Stream, *way: str) -> list[str]:
    """The command of the publisher in C."""
    return [str(BENCH / "publisher"), str(port), *publisher_words(site, stream), *way]


def publisher_words(site: Site, stream: Stream) -> list[str]:
    """What every publisher is told."""
    rooms = site.folder / "rooms"
    rooms.write_text("".join(f"{room.session_id}\t{room.state.decode()}\n" for room in stream.rooms))
    numbers = map(str, (stream.start_us, stream.rate, stream.total, FIRST_SEQ))
    return [str(rooms), stream.tail, *numbers]
