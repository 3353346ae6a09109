"""Baton's gateway: the real process, with the settings that `make up` gives it."""

import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psutil

from contracts.frames import PROTOCOL, Join, encode
from services.kit.tokens import DEVELOPMENT_PRIVATE_KEY, public_key_of
from tests.load.crowd import Manners, Seat
from tests.load.machine import running, surroundings, wait_for
from tests.load.rooms import BenchRoom
from tests.load.subjects.base import Site, Stream, Subject, room_script
from tests.load.workloads import Workload


class Baton(Subject):
    """One gateway process."""

    name = "baton"
    is_peer = False
    manners = Manners(mark='"type":"snapshot"', headers=(f"Sec-WebSocket-Protocol: {PROTOCOL}",))

    @contextmanager
    def serve(self, site: Site) -> Iterator[psutil.Process]:
        environment = surroundings(
            REDIS_URL=site.redis_url,
            BATON_HOST="127.0.0.1",
            BATON_PORT=str(site.port),
            BATON_TOKEN_PUBLIC_KEYS=public_key_of(DEVELOPMENT_PRIVATE_KEY),
            BATON_LOG_LEVEL="WARNING",
            PYTHONUNBUFFERED="1",
        )
        with running([sys.executable, "-m", "services", "realtime"], site.log, environment) as process:
            wait_for(lambda: _is_ready(site.port), process)
            yield process

    def seats(self, rooms: Sequence[BenchRoom], workload: Workload) -> list[Seat]:
        members = [0] * len(rooms)
        seats = []
        for index in workload.members():
            room = rooms[index]
            join = encode(Join(token=room.token(members[index]))).decode()
            seats.append(Seat(index, f"/ws/game/{room.session_id}", join))
            members[index] += 1
        return seats

    def publisher(self, site: Site, stream: Stream) -> list[str]:
        return room_script(site, stream)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
