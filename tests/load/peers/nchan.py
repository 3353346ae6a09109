"""Nchan: nginx's module, in memory. Its messages come as HTTP requests, which its CPU includes."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.load.crowd import Manners, Seat
from tests.load.machine import listens, running, wait_for
from tests.load.peers.install import nginx_with_nchan
from tests.load.rooms import BenchRoom
from tests.load.subjects.base import FIRST_SEQ, Site, Stream, Subject, publisher
from tests.load.workloads import Workload

CONFIGURATION = """
load_module {module};
daemon off;
{user}
worker_processes 1;
worker_rlimit_nofile {files};
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections {connections}; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  nchan_shared_memory_size 512M;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location ~ ^/publish/(.+)$ {{
      nchan_publisher;
      nchan_channel_id $1;
      nchan_message_buffer_length 256;
      nchan_message_timeout 1h;
    }}
    location ~ ^/ws/game/(.+)$ {{
      nchan_subscriber websocket;
      nchan_channel_id $1;
      nchan_subscriber_first_message newest;
      nchan_websocket_ping_interval 15;
    }}
  }}
}}
"""
CONNECTIONS = 16_000

STATE = Path("/var/lib/nginx")
"""Debian's Nchan wants this folder, and no setting changes that."""
WITH_STATE = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'


class Nchan(Subject):
    """One nginx worker."""

    name = "nchan"
    manners = Manners()

    def __init__(self, *, download: bool) -> None:
        self._download = download

    def prepare(self) -> None:
        nginx_with_nchan(download=self._download)

    @contextmanager
    def serve(self, site: Site) -> Iterator[psutil.Process]:
        program, module = nginx_with_nchan(download=False)
        configuration = site.folder / "nginx.conf"
        configuration.write_text(
            CONFIGURATION.format(
                module=module,
                user="user root;" if _is_root() else "",
                files=CONNECTIONS + 100,
                connections=CONNECTIONS,
                folder=site.folder,
                port=site.port,
            )
        )
        words = [
            *_with_state(site.folder),
            str(program),
            "-p",
            str(site.folder),
            "-e",
            "stderr",
            "-c",
            str(configuration),
        ]
        with running(words, site.log, death_signal=signal.SIGTERM) as process:
            wait_for(lambda: listens(site.port), process)
            yield process

    def seats(self, rooms: Sequence[BenchRoom], workload: Workload) -> list[Seat]:
        return [
            Seat(index, f"/ws/game/{rooms[index].session_id}", seq_before=FIRST_SEQ - 1) for index in workload.members()
        ]

    def publisher(self, site: Site, stream: Stream) -> list[str]:
        return publisher(site.port, site, stream, "post")


def _with_state(folder: Path) -> list[str]:
    """What to put before the command, so that nginx alone sees its folder where the machine has none."""
    if STATE.exists():
        return []
    private = folder / "lib"
    (private / STATE.name).mkdir(parents=True, exist_ok=True)
    namespace = ["unshare", "--mount"] if _is_root() else ["unshare", "--mount", "--map-root-user"]
    return [*namespace, "sh", "-c", WITH_STATE, "sh", str(private), str(STATE.parent)]


def _is_root() -> bool:
    return Path("/proc/self").stat().st_uid == 0
