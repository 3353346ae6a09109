"""Processes of the benchmark: they end with it, and are looked at while they run."""

import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import psutil

from baton.orphans import dies_with_us, signal_group

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "build" / "bench"
FILES_NEEDED = 40_000

T = TypeVar("T")


class BenchError(Exception):
    """A measurement is not possible; the message says why."""


def raise_file_limit() -> None:
    """Let this process and its children open as many files as the machine allows, up to what the benchmark needs."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, FILES_NEEDED), max(hard, FILES_NEEDED)))
    except (ValueError, PermissionError):  # only root may pass the hard limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def running(
    words: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    *,
    death_signal: signal.Signals = signal.SIGKILL,
) -> Iterator[psutil.Process]:
    """A process with its output in `log`, killed with all its children at the end of the block.

    It is sent `death_signal` when we end without getting there; that one must make it end its children.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            words,
            env=None if environment is None else dict(environment),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=dies_with_us(death_signal),
        )
    try:
        yield psutil.Process(process.pid)
    finally:
        signal_group(process.pid, signal.SIGKILL)
        process.wait()


def surroundings(**more: str) -> dict[str, str]:
    """Our environment without Baton's settings, which are the benchmark's to choose."""
    ours = ("BATON_", "DATABASE_URL", "REDIS_URL", "CELERY_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | more


def family(process: psutil.Process) -> list[psutil.Process]:
    """The process and its children."""
    return [process, *process.children(recursive=True)]


def resident_kb(process: psutil.Process) -> float:
    """What the process and its children have in memory."""
    return sum(_of_each(family(process), lambda one: float(one.memory_info().rss))) / 1024


def cpu_us(process: psutil.Process) -> float:
    """CPU that the process and its children have used up to now, in microseconds, to 10 ms or better."""
    times = _of_each(family(process), psutil.Process.cpu_times)
    return sum(float(one.user + one.system) for one in times) * 1e6


def _of_each(processes: Sequence[psutil.Process], figure: Callable[[psutil.Process], T]) -> list[T]:
    """A figure of each, but for those that end while they are looked at, as Postgres' connections do."""
    found = []
    for one in processes:
        with suppress(psutil.NoSuchProcess):
            found.append(figure(one))
    return found


def foreign_cpu_s() -> float:
    """Seconds of CPU that everything but this benchmark has used since the machine started, or was kept from using."""
    times = psutil.cpu_times()
    all_in_all = sum(times) - times.idle - times.iowait - times.guest - times.guest_nice  # guests count as users too
    ours = _of_each(family(psutil.Process()), psutil.Process.cpu_times)
    # With what those used that have ended, as far as their parents have heard of it.
    return float(all_in_all) - sum(one.user + one.system + one.children_user + one.children_system for one in ours)


def listens(port: int) -> bool:
    """Whether somebody takes connections on that port of the loopback address."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_for(condition: Callable[[], bool], process: psutil.Process, within: float = 30.0) -> None:
    """Return when the condition holds. Raises BenchError when the process ends or the time is up first."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline or not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            raise BenchError("did not get ready")
        time.sleep(0.02)


def last_words(log: Path, lines: int = 8) -> str:
    """The end of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "no log"
