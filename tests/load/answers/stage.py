"""The real processes of `make up`, one of each, with databases that write to disk what they confirm."""

import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from baton.ping import worker_answers
from baton.plan import Plan, commands
from baton.ports import any_free
from baton.processes import Command
from baton.secrets_file import local_secrets
from baton.server import ServerError
from baton.servers import Postgres, Valkey
from services.kit.migrate import migrate
from tests.load.machine import BenchError, cpu_us, last_words, running, wait_for


@dataclass(frozen=True)
class Stage:
    """Where everything is, and the processes by name."""

    folder: Path
    plan: Plan
    postgres: Postgres
    processes: Mapping[str, psutil.Process]

    def cpu_us(self) -> dict[str, float]:
        """CPU that each has used up to now, in microseconds."""
        return {name: cpu_us(process) for name, process in self.processes.items()}


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """All of Baton, ready, to the end of the block. Raises BenchError."""
    try:
        with ExitStack() as stack:
            postgres = stack.enter_context(Postgres(folder / "postgres"))
            valkey = stack.enter_context(Valkey(folder / "valkey"))
            migrate(postgres.url)
            plan = Plan(
                folder=folder,
                host="127.0.0.1",
                realtime_port=any_free(),
                points_port=any_free(),
                puzzle_port=any_free(),
                database_url=postgres.url,
                redis_url=valkey.url,
                secrets=local_secrets(folder),
            )
            assert postgres.pid is not None
            assert valkey.pid is not None
            processes = {"postgres": psutil.Process(postgres.pid), "valkey": psutil.Process(valkey.pid)}
            surroundings = {"PATH": os.environ.get("PATH", os.defpath), "BATON_LOG_LEVEL": "WARNING"}
            planned = commands(plan, surroundings)
            for command in planned:
                log = folder / f"{command.name}.log"
                processes[command.name] = stack.enter_context(running(command.words, log, command.environment))
            for command in planned:
                _wait_until_ready(command, processes[command.name], folder)
            yield Stage(folder, plan, postgres, processes)
    except ServerError as error:
        raise BenchError(str(error)) from error


def _wait_until_ready(command: Command, process: psutil.Process, folder: Path) -> None:
    is_ready: Callable[[], bool] = process.is_running
    if command.ready_url is not None:
        url = command.ready_url
        is_ready = lambda: _answers(url)  # noqa: E731 (one of three)
    elif command.ready_ping is not None:
        ping = command.ready_ping
        is_ready = lambda: worker_answers(*ping, within=1.0)  # noqa: E731
    try:
        wait_for(is_ready, process, within=60.0)
    except BenchError as error:
        words = last_words(folder / f"{command.name}.log")
        raise BenchError(f"{command.name} {error}\n{words}") from error


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 (our own services)
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
