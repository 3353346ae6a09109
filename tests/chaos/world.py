"""A whole Baton, two of everything, with proxies on the ways to Valkey and Postgres and clocks that can be set."""

import importlib.util
import json
import os
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import httpx
import psutil

from baton.orphans import dies_with_us
from baton.ping import node_name
from baton.plan import ROOT, Plan, commands
from baton.ports import any_free
from baton.processes import Command
from baton.secrets_file import local_secrets
from services.kit.migrate import migrate
from tests.e2e.system import Process, System, wait_for

SERVICES = ("puzzle", "points", "realtime")
KINDS = (*SERVICES, "worker", "beat")
COUNTED = {
    "baton_consumed_duplicates_total": "duplicates absorbed",
    "baton_consumed_early_total": "events that came too early",
    "baton_room_gaps_total": "rooms found behind and told the range",
    "baton_room_rebuilds_total": "rooms rebuilt from Postgres",
    "baton_gaps_repaired_total": "gaps repaired by gateways",
    "baton_outbox_confirmed_total": "events confirmed",
}
_SAMPLE = re.compile(rf"^({'|'.join(COUNTED)})(?:{{.*}})? (\S+)$", re.MULTILINE)


def faketime_library() -> Path | None:
    """The library by which a process is given another clock, where there is one for this machine."""
    spec = importlib.util.find_spec("libfaketime")
    if spec is None or spec.origin is None:
        return None
    return next(Path(spec.origin).parent.rglob("libfaketime.so.1"), None)


class World(System):
    """Postgres, Valkey, what stands before them, and `puzzle`, `puzzle-2`, `points` …: two of each kind."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder)
        self._seed = seed
        self._network: subprocess.Popen[bytes] | None = None
        self._quick = httpx.Client(timeout=0.5, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
        self._counted: dict[str, Counter[str]] = {}
        self._before = Counter[str]()
        self.edges = {name: any_free() for name in ("points", "puzzle")}
        self.faketime = faketime_library()

    def start(self, settings: Mapping[str, Mapping[str, str]] | None = None) -> None:
        """Return when all are ready but those that are given `settings` of their own, and may have died already."""
        special = settings or {}
        self.folder.mkdir()
        self.folder.chmod(0o711)  # the servers' user passes through to its own folders
        self.postgres.start()
        self.valkey.start()
        migrate(self.postgres.url)
        way_to_valkey, way_to_postgres = any_free(), any_free()
        self._start_network(way_to_valkey, way_to_postgres)
        for planned in self._all_commands(way_to_valkey, way_to_postgres):
            command = replace(planned, environment={**planned.environment, **special.get(planned.name, {})})
            process = self.processes[command.name] = Process(command, self.folder / f"{command.name}.log")
            process.start()
        for name, process in self.processes.items():
            if name in special:
                continue
            wait_for(lambda process=process: process.is_ready(self.http), f"{name} is ready", within=120)  # type: ignore[misc]  # mypy infers no lambda defaults

    def stop(self) -> None:
        super().stop()
        self._quick.close()
        if self._network is not None:
            self._network.kill()
            self._network.wait()

    def copies(self, kind: str) -> list[str]:
        """The names of a kind's processes."""
        return [kind, f"{kind}-2"]

    def ports_of(self, kind: str) -> list[int]:
        return [self.ports[name] for name in self.copies(kind)]

    def tell_network(self, *words: object) -> None:
        if self._network is None or self._network.stdin is None:
            raise RuntimeError("the network does not run")
        self._network.stdin.write((" ".join(map(str, words)) + "\n").encode())
        self._network.stdin.flush()

    def network_counts(self) -> Counter[str]:
        """What the network has done so far."""
        self.tell_network("counts")
        return Counter(self._heard())

    def set_clock(self, name: str, seconds: int) -> None:
        """Let a worker's or beat's clock be wrong by so much; it notices within a second."""
        self._clock(name).write_text(f"{seconds:+d}\n")

    def children(self, name: str) -> list[int]:
        """The processes of a worker that do its tasks."""
        try:
            return [child.pid for child in psutil.Process(self.processes[name].pid).children()]
        except psutil.NoSuchProcess:
            return []

    def count(self, name: str) -> None:
        """Note what a service has counted up to now; it forgets it when it dies."""
        port = self.ports.get(name)
        if port is None:
            return
        try:
            text = self._quick.get(f"http://127.0.0.1:{port}/metrics").text
        except httpx.TransportError:
            return  # paused, dying or starting: what it counted since the last time is not in the report
        found = Counter[str]()
        for metric, value in _SAMPLE.findall(text):
            found[COUNTED[metric]] += int(float(value))
        self._counted[name] = found

    def forget(self, name: str) -> None:
        """The process begins anew, and counts from 0."""
        self._before += self._counted.pop(name, Counter())

    def counts(self) -> Counter[str]:
        """What the services have counted, all of their lives together, as far as it was noted."""
        return sum(self._counted.values(), self._before)

    def _start_network(self, way_to_valkey: int, way_to_postgres: int) -> None:
        ways = {"--valkey": (way_to_valkey, self.valkey.port), "--postgres": (way_to_postgres, self.postgres.port)}
        words = [str(word) for option, ports in ways.items() for word in (option, *ports)]
        with (self.folder / "network.log").open("ab") as log:
            self._network = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.network", *words, "--seed", str(self._seed)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                preexec_fn=dies_with_us(signal.SIGKILL),
            )
        self._heard()

    def _heard(self) -> dict[str, int]:
        if self._network is None or self._network.stdout is None:
            raise RuntimeError("the network does not run")
        line = self._network.stdout.readline()
        if not line:
            raise AssertionError(f"the network ended:\n{(self.folder / 'network.log').read_text()[-2000:]}")
        found: dict[str, int] = json.loads(line)
        return found

    def _all_commands(self, way_to_valkey: int, way_to_postgres: int) -> list[Command]:
        self.ports = {name: any_free() for kind in SERVICES for name in self.copies(kind)}
        secrets = local_secrets(self.folder)
        self.operator_key = secrets.operator_key
        edges = {name: f"http://127.0.0.1:{port}" for name, port in self.edges.items()}
        surroundings = {
            "PATH": os.environ.get("PATH", os.defpath),
            "BATON_LOG_LEVEL": "INFO",
            "BATON_POINTS_URL": edges["points"],
            "BATON_PUZZLE_URL": edges["puzzle"],
            "BATON_PUZZLE_INTERNAL_URL": edges["puzzle"],
            "BATON_JOIN_TIMEOUT_S": "60",  # all bots are one process, and where it stands still, none can join
        }
        found = []
        for number in range(2):
            folder = self.folder / f"copy-{number + 1}"
            folder.mkdir()
            plan = Plan(
                folder=folder,
                host="127.0.0.1",
                realtime_port=self.ports_of("realtime")[number],
                points_port=self.ports_of("points")[number],
                puzzle_port=self.ports_of("puzzle")[number],
                database_url=self.postgres.url.replace(f":{self.postgres.port}/", f":{way_to_postgres}/"),
                redis_url=self.valkey.url.replace(f":{self.valkey.port}/", f":{way_to_valkey}/"),
                secrets=secrets,
            )
            found += [
                self._copy(command, self.copies(command.name)[number]) for command in commands(plan, surroundings)
            ]
        return found

    def _copy(self, command: Command, name: str) -> Command:
        """The command under another name, and for worker and beat with a clock that can be set."""
        if not name.startswith(("worker", "beat")):
            return replace(command, name=name)
        words = [word.replace("baton@%h", f"baton-{name}@%h") for word in command.words]
        ping = None if command.ready_ping is None else (command.ready_ping[0], node_name(f"baton-{name}"))
        environment = {**command.environment, **self._clock_settings(name)}
        return replace(command, name=name, words=words, ready_ping=ping, environment=environment)

    def _clock(self, name: str) -> Path:
        return self.folder / f"{name}.clock"

    def _clock_settings(self, name: str) -> Mapping[str, str]:
        if self.faketime is None:
            return {}
        self.set_clock(name, 0)
        return {
            "LD_PRELOAD": str(self.faketime),
            "FAKETIME_TIMESTAMP_FILE": str(self._clock(name)),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DISABLE_SHM": "1",
        }


def chance_of(seed: int, what: str) -> random.Random:
    """A chance of its own for each part, so that none depends on how often another one asks."""
    return random.Random(f"{seed}/{what}")
