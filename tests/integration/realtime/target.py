"""A gateway under attack."""

from pathlib import Path
from typing import NamedTuple

import psutil

MB = 1 << 20
QUEUE_BYTES = 1 << 18


class Target(NamedTuple):
    """A gateway in a process of its own, and what it uses."""

    url: str
    process: psutil.Process
    log: Path
    valkey_port: int

    @property
    def rss(self) -> int:
        return int(self.process.memory_info().rss)

    @property
    def descriptors(self) -> int:
        """How many are open, but for connections to Valkey: of these there are as many as calls have coincided."""
        while True:
            every = int(self.process.num_fds())
            to_valkey = self.to_valkey
            if int(self.process.num_fds()) == every:
                return every - to_valkey

    @property
    def to_valkey(self) -> int:
        connections = self.process.net_connections("tcp")
        return sum(bool(each.raddr) and each.raddr.port == self.valkey_port for each in connections)
