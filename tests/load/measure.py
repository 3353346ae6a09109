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
from tests.load.machine import BenchError, family, last_words, resident_kb, running, surroundings
from tests.load.rooms import BenchRoom, frame_tail, make_rooms, prepare
from tests.load.subjects.base import Site, Stream, Subject
from tests.load.workloads import Workload

WARM_UP_S = 1.0
GRACE_S = 2.0
"""What arrives later than this after the last message was due, counts as lost."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run gave. Times of CPU in microseconds, latencies in milliseconds from the instant a message was due."""

    cpu_us_per_delivery: float
    delivered: int
    lost: int
    doubled: int
    p50_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    kb_per_connection: float
    connects_per_s: float
    late_ms: float
    """How late the publisher was at worst."""
    client_share: float
    """CPU of the load client, as a part of one core."""


def run(subject: Subject, workload: Workload, seconds: float, valkey: Valkey, folder: Path) -> Outcome:
    """Measure once. Raises BenchError where that is not possible."""
    site = Site(folder, valkey.port, valkey.url, any_free())
    rooms = make_rooms(workload.rooms)
    valkey.flush()
    prepare(valkey.url, rooms)
    with subject.serve(site) as process:
        memory = resident_kb(process)
        with crowd(site.port, subject.seats(rooms, workload), subject.manners, folder) as clients:
            opened = clients.open()
            time.sleep(0.5)  # what the joins left to be done is done
            memory = (resident_kb(process) - memory) / workload.connections
            told = _tell(subject, workload, seconds, site, rooms, clients, process)
    counted, published = told
    if published["refused"]:
        raise BenchError(f"{published['refused']} messages were refused by the room script")
    return Outcome(
        cpu_us_per_delivery=counted["cpu_us"] / max(counted["arrived"], 1),
        delivered=counted["delivered"],
        lost=counted["expected"] - counted["delivered"],
        doubled=counted["doubled"],
        p50_ms=counted["p50_ms"],
        p99_ms=counted["p99_ms"],
        p999_ms=counted["p999_ms"],
        kb_per_connection=memory,
        connects_per_s=opened["connections"] / opened["seconds"],
        late_ms=published["late_ms"],
        client_share=counted["client_cpu_us"] / (seconds * 1e6),
    )


def _tell(
    subject: Subject,
    workload: Workload,
    seconds: float,
    site: Site,
    rooms: list[BenchRoom],
    clients: Crowd,
    process: psutil.Process,
) -> tuple[dict[str, Any], dict[str, Any]]:
    rate = subject.rate(workload)
    active = rooms[: len(workload.sizes)]
    start = time.monotonic_ns() // 1000 + int(subject.lead_s * 1e6)
    begin = start + int(WARM_UP_S * 1e6)
    end = begin + int(seconds * 1e6)
    stream = Stream(active, start, rate, int(rate * (WARM_UP_S + seconds)), frame_tail())
    with _publishing(subject.publisher(site, stream), site.folder) as publisher:
        numbers = [start, rate, stream.total, len(active), begin, end, end + int(GRACE_S * 1e6)]
        clients.measure(numbers, [one.pid for one in family(process)])
        counted = clients.measured(within=subject.lead_s + WARM_UP_S + seconds + GRACE_S + 10)
        return counted, publisher()


@contextmanager
def _publishing(words: list[str], folder: Path) -> Iterator[Callable[[], dict[str, Any]]]:
    """A publisher. What is yielded waits for its end and returns the figures in the last line that it printed."""
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
