"""One run: a subject, a workload, a few seconds."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from baton.ports import any_free
from baton.servers import Valkey
from tests.load.crowd import Crowd, crowd
from tests.load.machine import BenchError, cpu_us, family, foreign_cpu_s, last_words, resident_kb, running, surroundings
from tests.load.rooms import BenchRoom, frame_tail, make_rooms, prepare
from tests.load.subjects.base import Site, Stream, Subject
from tests.load.workloads import Workload

WARM_UP_S = 1.0
SETTLE_S = 0.5
"""For what the joins have left to be done."""
GRACE_S = 2.0
"""What has not arrived so long after the last message was due, counts as lost."""
AT_ONCE = 128
OPEN_WITHIN_S = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one run gave. CPU in microseconds; latencies in milliseconds from the instant at which a message was due.

    In a storm a delivery is a client that is back in, and its latency is the time that it took.
    """

    delivered: int
    lost: int = 0
    doubled: int = 0
    closed: int = 0
    """Clients whose connection the subject ended."""
    sent_back: int = 0
    """How often a client in a storm was asked to come back later, and did."""
    p50_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    cpu_us_per_delivery: float | None = None
    cpu_us_per_connect: float | None = None
    kb_per_connection: float | None = None
    connects_per_s: float | None = None
    publisher_late_ms: float | None = None
    """How late the publisher was at worst."""
    client_share: float = 0.0
    """The load client's CPU as a part of one core."""
    foreign_share: float = 0.0
    """CPU of everything else on the machine meanwhile, in cores."""


@dataclass(frozen=True, slots=True)
class Run:
    """A subject and a workload, at a place."""

    subject: Subject
    workload: Workload
    seconds: float
    valkey: Valkey
    folder: Path

    def measure(self) -> Outcome:
        """Measure once. Raises BenchError, with what the subject wrote last, where that is not possible."""
        site = Site(self.folder, self.valkey.port, self.valkey.url, any_free())
        try:
            return self._measure(site)
        except BenchError as error:
            raise BenchError(f"{error}\n{last_words(site.log)}".rstrip()) from error

    def _measure(self, site: Site) -> Outcome:
        rooms = make_rooms(self.workload.rooms)
        seats = self.subject.seats(rooms, self.workload)
        self.valkey.flush()
        prepare(self.valkey.url, rooms)
        at_once = AT_ONCE if self.workload.rate else len(seats)
        with (
            self.subject.serve(site) as process,
            crowd(site.port, seats, self.subject.manners, self.folder, at_once=at_once) as clients,
        ):
            before = resident_kb(process)
            clients.open(OPEN_WITHIN_S)
            if not self.workload.rate:
                return _storm(clients, process)
            time.sleep(SETTLE_S)
            taken = (resident_kb(process) - before) / len(seats)
            counted, published = self._tell(site, rooms, clients, process)
        if published["refused"]:
            raise BenchError(f"{published['refused']} messages were not taken as the next of their room")
        return Outcome(
            delivered=counted["delivered"],
            lost=counted["expected"] - counted["delivered"],
            doubled=counted["doubled"],
            closed=counted["closed"],
            p50_ms=counted["p50_ms"],
            p99_ms=counted["p99_ms"],
            p999_ms=counted["p999_ms"],
            cpu_us_per_delivery=counted["cpu_us"] / counted["arrived"] if counted["arrived"] else None,
            kb_per_connection=taken if self.workload.idle_rooms else None,
            publisher_late_ms=published["late_ms"],
            client_share=counted["client_cpu_us"] / (self.seconds * 1e6),
            foreign_share=counted["foreign_share"],
        )

    def _tell(
        self, site: Site, rooms: list[BenchRoom], clients: Crowd, process: psutil.Process
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        rate, lead_s = self.subject.rate(self.workload), self.subject.lead_s
        start = time.monotonic_ns() // 1000 + int(lead_s * 1e6)
        begin = start + int(WARM_UP_S * 1e6)
        end = begin + int(self.seconds * 1e6)
        total = int(rate * (WARM_UP_S + self.seconds))
        stream = Stream(rooms[: len(self.workload.sizes)], start, rate, total, frame_tail())
        with _publishing(self.subject.publisher(site, stream), self.folder) as publisher:
            numbers = [start, rate, total, len(stream.rooms), begin, end, end + int(GRACE_S * 1e6)]
            clients.measure(numbers, [one.pid for one in family(process)])
            since, foreign = time.monotonic(), foreign_cpu_s()
            counted = clients.measured(within=lead_s + WARM_UP_S + self.seconds + GRACE_S + 10)
            counted["foreign_share"] = (foreign_cpu_s() - foreign) / (time.monotonic() - since)
            return counted, publisher()


def _storm(clients: Crowd, process: psutil.Process) -> Outcome:
    before = cpu_us(process)
    clients.drop()
    opened = clients.open(OPEN_WITHIN_S)
    return Outcome(
        delivered=opened["connections"],
        sent_back=opened["sent_back"],
        p50_ms=opened["p50_ms"],
        p99_ms=opened["p99_ms"],
        p999_ms=opened["p999_ms"],
        cpu_us_per_connect=(cpu_us(process) - before) / opened["connections"],
        connects_per_s=opened["connections"] / opened["seconds"],
    )


@contextmanager
def _publishing(words: list[str], folder: Path) -> Iterator[Callable[[], dict[str, Any]]]:
    """A publisher. What is yielded waits for its end, and returns the figures in the last line that it printed."""
    log = folder / "publisher.log"
    with running(words, log, surroundings()) as process:

        def figures() -> dict[str, Any]:
            try:
                process.wait(30)
            except psutil.TimeoutExpired:
                raise BenchError("the publisher did not end") from None
            try:
                found: dict[str, Any] = json.loads(last_words(log, 1))
            except ValueError:
                raise BenchError(f"the publisher failed: {last_words(log)}") from None
            return found

        yield figures
