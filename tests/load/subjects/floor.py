"""The floor: what the kernel and Valkey leave any gateway to do, in C."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psutil

from tests.load.crowd import Manners, Seat
from tests.load.machine import BENCH, listens, running, wait_for
from tests.load.rooms import BenchRoom
from tests.load.subjects.base import FIRST_SEQ, Site, Stream, Subject, room_script
from tests.load.workloads import Workload


class Floor(Subject):
    """One epoll loop, one `send` a client and message."""

    name = "floor"
    is_peer = False
    manners = Manners()

    @contextmanager
    def serve(self, site: Site) -> Iterator[psutil.Process]:
        with running([str(BENCH / "floor"), str(site.port), str(site.valkey_port)], site.log) as process:
            wait_for(lambda: listens(site.port), process)
            yield process

    def seats(self, rooms: Sequence[BenchRoom], workload: Workload) -> list[Seat]:
        return [
            Seat(index, f"/ws/game/{rooms[index].session_id}", seq_before=FIRST_SEQ - 1) for index in workload.members()
        ]

    def publisher(self, site: Site, stream: Stream) -> list[str]:
        return room_script(site, stream)
