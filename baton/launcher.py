"""`make up`: the whole system on one machine, from nothing, and nothing of it left afterwards."""

import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from sqlalchemy.exc import SQLAlchemyError

from baton import ports
from baton.logs import Printer, wants_colour
from baton.plan import Plan, commands
from baton.processes import DiedForGoodError
from baton.secrets_file import FILES, local_secrets
from baton.server import Server, ServerError
from baton.servers import Postgres, Valkey
from baton.supervisor import Supervisor
from services.kit.migrate import migrate
from services.kit.redis_url import addresses, broker_beside

DEFAULT_PORT = 8000
EXIT_DIED = 1
EXIT_CANNOT_START = 2


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for. `port` is None where any will do."""

    folder: Path
    host: str = "127.0.0.1"
    port: int | None = None
    fresh: bool = False


class CannotStartError(Exception):
    """What was asked for is not possible now; the message says why."""


def up(options: Options) -> int:
    """Start everything, keep it running until told to stop, stop everything. Returns the exit code."""
    printer = Printer(sys.stdout, colour=wants_colour(sys.stdout))
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    try:
        with ExitStack() as stack:
            return _up(options, printer, stack)
    except (CannotStartError, ports.PortTakenError, ServerError) as error:
        printer.line("baton", f"cannot start: {error}")
        return EXIT_CANNOT_START
    except DiedForGoodError as error:
        printer.line("baton", f"{error}; everything was stopped")
        return EXIT_DIED
    except KeyboardInterrupt:
        printer.line("baton", "stopped before it was ready")
        return 0


def _up(options: Options, printer: Printer, stack: ExitStack) -> int:
    _check_addresses(os.environ)
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        folder.chmod(0o711)  # the servers' user passes through to its own folders, and can list nothing
    stack.enter_context(_only_one(folder))
    if options.fresh:
        wipe(folder, printer)
    realtime, points, puzzle = ports.choose(
        options.port or DEFAULT_PORT, options.host, 3, insist=options.port is not None
    )
    if realtime != (options.port or DEFAULT_PORT):
        printer.line("baton", f"port {DEFAULT_PORT} is used by another program: taking {realtime}")
    servers: list[Server] = []
    database_url, redis_url = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
    if not database_url:
        postgres = Postgres(folder / "postgres")
        _start(postgres, folder, printer, stack)
        servers.append(postgres)
        database_url = postgres.url
    if not redis_url:
        valkey = Valkey(folder / "valkey")
        _start(valkey, folder, printer, stack)
        servers.append(valkey)
        redis_url = valkey.url
    plan = Plan(
        folder=folder,
        host=options.host,
        realtime_port=realtime,
        points_port=points,
        puzzle_port=puzzle,
        database_url=database_url,
        redis_url=redis_url,
        secrets=local_secrets(folder),
    )
    _migrate(plan.database_url, printer)
    address = folder / "address"
    stack.callback(address.unlink, missing_ok=True)

    def announce() -> None:
        address.write_text(plan.address)
        printer.headline(f"Baton is ready: open {plan.address} (Ctrl-C stops it)")

    # From here on signals are the supervisor's; and while the servers stop, nothing may interrupt them.
    stack.callback(_ignore_signals)
    return asyncio.run(Supervisor(commands(plan, os.environ), servers, printer, announce).run())


def _check_addresses(surroundings: Mapping[str, str]) -> None:
    """Before anything is started: whether everybody would find Valkey, and a broker."""
    name = "REDIS_URL"
    try:
        if redis_url := surroundings.get(name):
            addresses(redis_url)
            name = "CELERY_BROKER_URL"
            _ = surroundings.get(name) or broker_beside(redis_url)
    except ValueError as error:
        raise CannotStartError(f"{name} {error}") from error


def _start(server: Server, folder: Path, printer: Printer, stack: ExitStack) -> None:
    if not server.home.is_relative_to(folder):
        printer.line("baton", f"{server.name}'s user cannot enter {folder}: its data is in {server.home}")
    stack.callback(server.stop)
    server.start()
    printer.line("baton", f"{server.name} is up on port {server.port}")


def _migrate(database_url: str, printer: Printer) -> None:
    try:
        migrate(database_url)
    except SQLAlchemyError as error:
        raise CannotStartError(f"the migrations failed: {str(error).partition('(Background')[0].strip()}") from error
    printer.line("baton", "the database is up to date")


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise CannotStartError(
                f"Baton already runs in {folder} (process {lock.read().strip() or 'unknown'}); stop that one first"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def wipe(folder: Path, printer: Printer) -> None:
    """Remove what Baton keeps in the folder, by name: it may hold other things too."""
    for server in (Postgres(folder / "postgres"), Valkey(folder / "valkey")):
        server.wipe()
    for name in (*FILES, "address"):
        (folder / name).unlink(missing_ok=True)
    for file in folder.glob("beat-schedule*"):
        file.unlink()
    printer.line("baton", f"everything kept in {folder} was forgotten")


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
