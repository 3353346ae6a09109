"""A whole Baton of real processes, two gateways among them, each of which can be killed and started again."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psutil
import redis
from prometheus_client.parser import text_string_to_metric_families

from baton.orphans import dies_with_us, signal_group
from baton.ping import worker_answers
from baton.plan import Plan, commands
from baton.ports import any_free
from baton.processes import Command
from baton.secrets_file import local_secrets
from baton.servers import Postgres, Valkey
from contracts.channels import room_key
from contracts.ids import SessionId
from services.kit.migrate import migrate
from tests import direct

GATEWAYS = ("realtime", "realtime-2")
READY_WITHIN_S = 60.0
POLL_S = 0.05
LOG_LINES = 60


def wait_for(condition: Callable[[], bool], what: str, within: float = READY_WITHIN_S) -> float:
    """Return as soon as the condition holds, with the seconds that took; fail, naming it, if it takes too long."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > within:
            raise AssertionError(f"not within {within:.0f} s: {what}")
        time.sleep(POLL_S)
    return time.monotonic() - began


class Process:
    """One process of the system, whose output goes to a file. Start it from the main thread: it ends with that."""

    def __init__(self, command: Command, log_file: Path) -> None:
        self.command = command
        self.log_file = log_file
        self.noted_at = 0
        self._began_at = 0
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The leader's id. The process runs."""
        if self._running is None:
            raise RuntimeError(f"{self.command.name} does not run")
        return self._running.pid

    @property
    def runs(self) -> bool:
        return self._running is not None and self._running.poll() is None

    @property
    def ended_with(self) -> int | None:
        """The code with which it has ended by itself; None while it runs, and when it was killed."""
        return None if self._running is None else self._running.poll()

    def start(self) -> None:
        """Start it; it is not ready yet."""
        with self.log_file.open("ab") as log:
            self._began_at = log.tell()
            self._running = subprocess.Popen(
                self.command.words,
                env=dict(self.command.environment),
                cwd=self.command.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=dies_with_us(signal.SIGKILL),
            )

    def kill(self) -> None:
        """kill -9 to it and all its children."""
        if self._running is not None:
            signal_group(self._running.pid, signal.SIGKILL)
            self._running.wait()
            self._running = None

    def is_ready(self, http: httpx.Client) -> bool:
        """Whether it does its work, as its command says. Fails when it has ended by itself."""
        assert self._running is not None
        assert self._running.poll() is None, f"{self.command.name} ended:\n{self.last_words()}"
        if self.command.ready_url is not None:
            try:
                return http.get(self.command.ready_url).status_code == 200
            except httpx.TransportError:
                return False
        if self.command.ready_ping is not None:
            return worker_answers(*self.command.ready_ping, within=2.0)
        line = self.command.ready_line
        return line is None or re.search(line, self.output(self._began_at)) is not None

    def output(self, after: int = 0) -> str:
        with self.log_file.open("rb") as log:
            log.seek(after)
            return log.read().decode(errors="replace")

    def new_output(self) -> str:
        """What it wrote since the logs were last noted."""
        return self.output(self.noted_at)

    def last_words(self) -> str:
        return "\n".join(self.output().splitlines()[-LOG_LINES:])


class System:
    """Postgres, Valkey and Baton's processes: puzzle, points, realtime, realtime-2, worker, beat."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres = Postgres(folder / "postgres", durable=False)
        self.valkey = Valkey(folder / "valkey")
        self.processes: dict[str, Process] = {}
        self.ports: dict[str, int] = {}
        self.operator_key = ""
        # No connection is kept: the other end may be killed at any time.
        self.http = httpx.Client(timeout=10, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))

    def start(self) -> None:
        """Return when all are ready."""
        self.folder.mkdir()
        self.folder.chmod(0o711)  # the servers' user passes through to its own folders
        self.postgres.start()
        self.valkey.start()
        migrate(self.postgres.url)
        self.ports = {name: any_free() for name in (*GATEWAYS, "points", "puzzle")}
        for command in self._commands():
            process = self.processes[command.name] = Process(command, self.folder / f"{command.name}.log")
            process.start()
        self.wait_until_ready(*self.processes)

    def stop(self) -> None:
        """Leave nothing behind."""
        direct.close()
        for process in self.processes.values():
            process.kill()
        self.valkey.stop()
        self.postgres.stop()
        self.http.close()

    def wait_until_ready(self, *names: str) -> None:
        for name in names:
            wait_for(partial(self.processes[name].is_ready, self.http), f"{name} is ready")

    def kill(self, *names: str) -> None:
        for name in names:
            self.processes[name].kill()

    def start_again(self, *names: str) -> None:
        """Start what was killed, and return when it is ready."""
        for name in names:
            self.processes[name].start()
        self.wait_until_ready(*names)

    def mend(self) -> None:
        """Start whatever does not run."""
        self.postgres.start()
        self.valkey.start()
        self.start_again(*(name for name, process in self.processes.items() if not process.runs))

    def pool_children(self) -> set[int]:
        """The processes of the worker that do its tasks."""
        return {child.pid for child in psutil.Process(self.processes["worker"].pid).children()}

    @property
    def gateways(self) -> list[int]:
        """The ports of both gateways."""
        return [self.ports[name] for name in GATEWAYS]

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def metric(self, name: str, metric: str, **labels: str) -> float:
        """What a service has counted since it was started, over all labels that are not given."""
        text = self.http.get(f"{self.url(name)}/metrics").text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == metric and labels.items() <= sample.labels.items()
        )

    def query(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[direct.Row]:
        """Look into the database, past all services."""
        return direct.query(self.postgres.url, statement, parameters)

    def number(self, statement: str) -> int:
        """The only value of a query."""
        [row] = self.query(statement)
        [value] = row.values()
        return int(value)

    def room_seq(self, session_id: SessionId) -> int | None:
        """How far the session's room in Valkey has come."""
        with redis.Redis.from_url(self.valkey.url, socket_timeout=5) as client:
            found: Any = client.hget(room_key(session_id), "seq")
        return None if found is None else int(found)

    def note_logs(self) -> None:
        """From now on, `new_output` is what is written from now on."""
        for process in self.processes.values():
            process.noted_at = process.log_file.stat().st_size

    def last_words(self) -> Iterable[tuple[str, str]]:
        """The ends of all logs, each with its name."""
        return [(name, process.last_words()) for name, process in self.processes.items()]

    def _commands(self) -> list[Command]:
        plan = Plan(
            folder=self.folder,
            host="127.0.0.1",
            realtime_port=self.ports["realtime"],
            points_port=self.ports["points"],
            puzzle_port=self.ports["puzzle"],
            database_url=self.postgres.url,
            redis_url=self.valkey.url,
            secrets=local_secrets(self.folder),
        )
        self.operator_key = plan.secrets.operator_key
        surroundings = {"PATH": os.environ.get("PATH", os.defpath), "BATON_LOG_LEVEL": "INFO"}
        planned = {command.name: command for command in commands(plan, surroundings)}
        beside = {c.name: c for c in commands(replace(plan, realtime_port=self.ports["realtime-2"]), surroundings)}
        return [*planned.values(), replace(beside["realtime"], name="realtime-2")]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
