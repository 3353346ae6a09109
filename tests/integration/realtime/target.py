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

    @property
    def rss(self) -> int:
        return int(self.process.memory_info().rss)

    @property
    def descriptors(self) -> int:
        return int(self.process.num_fds())
