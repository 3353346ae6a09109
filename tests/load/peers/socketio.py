"""Socket.IO on Node, with its Redis adapter."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar

import psutil

from tests.load.crowd import Manners, Seat
from tests.load.machine import BenchError, listens, running, surroundings, wait_for
from tests.load.peers.install import SOURCES, node_peers
from tests.load.rooms import BenchRoom
from tests.load.subjects.base import FIRST_SEQ, Site, Stream, Subject, publisher_words
from tests.load.workloads import Workload


class SocketIo(Subject):
    """One Node process."""

    name = "socket.io"
    manners = Manners(mark='40{"sid"', first="40", pinged="2", pong="3")
    rates: ClassVar[Mapping[str, int]] = {"teams": 2000}
    lead_s = 1.5

    def prepare(self) -> None:
        node_peers()

    @contextmanager
    def serve(self, site: Site) -> Iterator[psutil.Process]:
        with running(
            [*_script("socketio_server.js"), str(site.port), site.redis_url], site.log, surroundings()
        ) as process:
            wait_for(lambda: listens(site.port), process)
            yield process

    def seats(self, rooms: Sequence[BenchRoom], workload: Workload) -> list[Seat]:
        path = "/socket.io/?EIO=4&transport=websocket&room="
        return [
            Seat(index, f"{path}{rooms[index].session_id}", self.manners.first, FIRST_SEQ - 1)
            for index in workload.members()
        ]

    def publisher(self, site: Site, stream: Stream) -> list[str]:
        return [*_script("socketio_publisher.js"), *publisher_words(site, stream), site.redis_url]


def _script(name: str) -> list[str]:
    node = shutil.which("node")
    if node is None:
        raise BenchError("there is no node")
    return ["env", f"NODE_PATH={node_peers()}", node, str(SOURCES / "apps" / name)]
