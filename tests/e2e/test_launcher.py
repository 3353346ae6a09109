"""`python -m baton up` for real: everything comes up, stays up, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
import redis

from baton.plan import ROOT
from baton.ports import any_free
from baton.servers import Valkey
from tests.integration.baton.alive import descendants, survivors, wait_until
from tests.no_tls import NO_TLS

pytestmark = pytest.mark.timeout(300)

READY = re.compile(r"^Baton is ready: open (http://\S+) ", re.MULTILINE)


class System:
    """One run of `python -m baton up`."""

    def __init__(
        self, folder: Path, *words: str, port: int | None = None, settings: dict[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.port = port or any_free()
        self._words = words
        self._settings = settings or {}
        self._log = tempfile.NamedTemporaryFile("ab")  # noqa: SIM115 (closed by __exit__)
        self.start()

    def start(self) -> None:
        """Run it, for the first time or again."""
        self._log.truncate(0)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "baton", "up", "--port", str(self.port), *self._words],
            cwd=ROOT,
            env={**os.environ, "BATON_DATA_DIR": str(self.folder), **self._settings},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def output(self) -> str:
        return Path(self._log.name).read_text()

    @property
    def address(self) -> str:
        found = READY.search(self.output)
        assert found is not None
        return found[1]

    def wait_until_ready(self) -> "System":
        def ready_or_dead() -> bool:
            assert self.process.poll() is None, self.output
            return READY.search(self.output) is not None

        wait_until(ready_or_dead, 90, "the address to open")
        return self

    def service(self, name: str) -> psutil.Process:
        """The process of a service, whichever it is now."""
        for child in psutil.Process(self.process.pid).children():
            if child.cmdline()[-2:] == ["services", name]:
                return child
        raise AssertionError(f"{name} does not run")

    def ask(self, name: str, path: str, method: str = "GET", **request: Any) -> httpx.Response:
        """Ask a service on its own port."""
        url = f"http://127.0.0.1:{self.service(name).environ()['BATON_PORT']}{path}"
        return httpx.request(method, url, trust_env=False, verify=NO_TLS, **request)

    def interrupt(self) -> int:
        """Press Ctrl-C, so to say, and return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def __enter__(self) -> "System":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            finally:
                self.process.kill()
        self._log.close()


@pytest.fixture(scope="module")
def system(server_folder: Path) -> Iterator[System]:
    """One running system for the tests that leave it running, and at the end the one that stops it."""
    with System(server_folder / "system") as system:
        yield system.wait_until_ready()


@pytest.fixture
def servers(fresh_database_url: str, valkey: Valkey) -> dict[str, str]:
    """The settings by which a system uses servers that run already."""
    return {
        "DATABASE_URL": fresh_database_url,
        "REDIS_URL": valkey.url_of(5),
        "CELERY_BROKER_URL": valkey.url_of(6),
    }


def test_all_services_are_ready_when_the_address_is_printed(system: System) -> None:
    for name in ("puzzle", "points", "realtime"):
        assert system.ask(name, "/readyz").status_code == 200, name
    assert system.address == f"http://127.0.0.1:{system.port}"
    assert (system.folder / "address").read_text() == system.address


def test_the_page_is_there(system: System) -> None:
    answer = httpx.get(system.address, trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")


def test_each_line_of_the_log_tells_whose_it_is(system: System) -> None:
    names = {line.partition(" | ")[0].strip() for line in system.output.splitlines() if " | " in line}
    assert {"baton", "points", "puzzle", "realtime", "worker", "beat"} <= names
    assert "\x1b[" not in system.output


def test_a_second_one_in_the_same_folder_is_told_of_the_first(system: System) -> None:
    with System(system.folder) as second:
        assert second.process.wait(30) == 2
        assert f"Baton already runs in {system.folder} (process {system.process.pid})" in second.output


def test_a_port_that_is_asked_for_and_used_is_complained_about(system: System, server_folder: Path) -> None:
    with System(server_folder / "elsewhere", port=system.port) as second:
        assert second.process.wait(30) == 2
        assert f"port {system.port} of 127.0.0.1 is used by another program" in second.output


@pytest.mark.parametrize("name", ["puzzle", "points", "realtime"])
def test_a_killed_service_comes_back(system: System, name: str) -> None:
    before = system.service(name)
    before.send_signal(signal.SIGKILL)

    def is_back() -> bool:
        try:
            return system.service(name).pid != before.pid and system.ask(name, "/readyz").status_code == 200
        except (httpx.TransportError, AssertionError, psutil.NoSuchProcess):
            return False

    wait_until(is_back, 30, f"{name} to be ready again")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has died")
def test_a_killed_launcher_leaves_nothing_and_the_next_start_finds_the_data(system: System) -> None:
    made = system.ask("points", "/teams", "POST", json={"name": "Otters"}).raise_for_status().json()
    started = descendants(system.process.pid)
    system.process.kill()
    system.process.wait()
    wait_until(lambda: not survivors(started), 5, "all processes to be gone")
    kept = {name: (system.folder / name).read_text() for name in ("operator-key", "postgres/password")}
    system.start()
    system.wait_until_ready()
    assert {name: (system.folder / name).read_text() for name in kept} == kept
    token = {"Authorization": f"Bearer {made['host_token']}"}
    assert system.ask("points", f"/teams/{made['team_id']}", headers=token).json()["name"] == "Otters"


def test_ctrl_c_stops_everything(system: System) -> None:
    started = descendants(system.process.pid)
    assert len(started) > 10
    assert system.interrupt() == 0, system.output
    assert survivors(started) == set()
    assert not (system.folder / "address").exists()


def test_servers_from_outside_are_used_instead_and_a_fresh_start_has_fresh_keys(
    servers: dict[str, str], server_folder: Path
) -> None:
    folder = server_folder / "outside"
    folder.mkdir()
    (folder / "operator-key").write_text("old")
    with System(folder, "--fresh", settings=servers) as system:
        system.wait_until_ready()
        assert (folder / "operator-key").read_text() != "old"
        assert not (folder / "postgres").exists()
        assert not (folder / "valkey").exists()
        with psycopg.connect(servers["DATABASE_URL"]) as connection:
            used = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchone()
        assert used is not None
        assert used[0] > 0
        with redis.Redis.from_url(servers["REDIS_URL"]) as client:
            assert client.dbsize() > 0


def test_a_service_with_wrong_settings_ends_everything(servers: dict[str, str], server_folder: Path) -> None:
    with System(server_folder / "wrong", settings={**servers, "BATON_TOKEN_PUBLIC_KEYS": "no key"}) as system:
        assert system.process.wait(60) == 1
        assert "ended with code 78, and is not started again; everything was stopped" in system.output
        assert "BATON_TOKEN_PUBLIC_KEYS" in system.output


def test_a_database_that_is_not_there_is_named(server_folder: Path) -> None:
    nowhere = f"postgresql://baton@127.0.0.1:{any_free()}/baton"
    with System(server_folder / "nowhere", settings={"DATABASE_URL": nowhere}) as system:
        assert system.process.wait(30) == 2
        assert "cannot start: the migrations failed" in system.output
