"""Peers in Python, each on one uvicorn process with uvloop."""

import sys
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import psutil

from tests.load.crowd import Manners, Seat
from tests.load.machine import listens, running, surroundings, wait_for
from tests.load.peers.install import APPS, python_peers
from tests.load.rooms import BenchRoom
from tests.load.subjects.base import FIRST_SEQ, Site, Stream, Subject, publisher_words, room_script
from tests.load.workloads import Workload


class _OnUvicorn(Subject):
    app: ClassVar[str]
    path: ClassVar[str] = "/ws/game/{room}"

    @abstractmethod
    def python(self) -> Path:
        """The Python that has what the application needs. Raises BenchError."""

    def prepare(self) -> None:
        self.python()

    @contextmanager
    def serve(self, site: Site) -> Iterator[psutil.Process]:
        place = ["--host", "127.0.0.1", "--port", str(site.port)]
        words = [str(self.python()), "-m", "uvicorn", f"{APPS}.{self.app}:app", *place, "--log-level", "warning"]
        with running(words, site.log, surroundings(REDIS_URL=site.redis_url)) as process:
            wait_for(lambda: listens(site.port), process)
            yield process

    def seats(self, rooms: Sequence[BenchRoom], workload: Workload) -> list[Seat]:
        return [
            Seat(index, self.path.format(room=rooms[index].session_id), self.manners.first, FIRST_SEQ - 1)
            for index in workload.members()
        ]


class FastApi(_OnUvicorn):
    """What tutorials show. It hears the same room script as Baton."""

    name = "fastapi"
    app = "fastapi_app"
    manners = Manners(mark='"joined"')

    def python(self) -> Path:
        return Path(sys.executable)

    def publisher(self, site: Site, stream: Stream) -> list[str]:
        return room_script(site, stream)


class _Published(_OnUvicorn):
    """With a publisher of its own kind."""

    app_publisher: ClassVar[str]
    lead_s = 1.5

    def python(self) -> Path:
        return python_peers()

    def publisher(self, site: Site, stream: Stream) -> list[str]:
        program = ["env", f"REDIS_URL={site.redis_url}", str(self.python()), "-m", f"{APPS}.{self.app_publisher}"]
        return [*program, *publisher_words(site, stream)]


class PythonSocketIo(_Published):
    """python-socketio with AsyncRedisManager."""

    name = "python-socketio"
    app = "socketio_app"
    app_publisher = "socketio_publisher"
    path = "/socket.io/?EIO=4&transport=websocket&room={room}"
    manners = Manners(mark='40{"sid"', first="40", pinged="2", pong="3")
    rates: ClassVar[Mapping[str, int]] = {"crowd": 5, "teams": 1500, "idle": 400}


class Channels(_Published):
    """Django Channels with channels_redis' core layer."""

    name = "channels"
    app = "channels_app"
    app_publisher = "channels_publisher"
    manners = Manners(mark='"joined"')
    rates: ClassVar[Mapping[str, int]] = {"crowd": 2, "teams": 400, "idle": 20}
