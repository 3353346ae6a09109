"""All processes together, with small programs in place of the services."""

import asyncio
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from baton.logs import Printer
from baton.orphans import signal_group
from baton.plan import ROOT
from baton.ports import any_free
from baton.processes import Command, DiedForGoodError
from baton.servers import Valkey
from baton.supervisor import Supervisor
from tests.integration.baton.alive import descendants, survivors, wait_until

pytestmark = pytest.mark.timeout(30)

SAYS_WHEN_IT_ENDS = """
import signal, sys, time
def end(*_):
    print("ended", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
time.sleep(600)
"""
HTTP = """
import os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Handler.asked += 1
        self.send_response(200 if Handler.asked > 2 else 503)
        self.end_headers()
    def log_message(self, *_): print("asked", self.path, flush=True)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
LAUNCHER = f"""
import asyncio, os, sys
from pathlib import Path
from baton.logs import Printer
from baton.processes import Command
from baton.supervisor import Supervisor
code = {SAYS_WHEN_IT_ENDS!r}
commands = [Command(n, [sys.executable, "-c", code], os.environ, Path(), ready_line="up") for n in ("puzzle", "worker")]
printer = Printer(sys.stdout, colour=False)
sys.exit(asyncio.run(Supervisor(commands, [], printer, lambda: printer.headline("all ready")).run()))
"""


def command(name: str, code: str = SAYS_WHEN_IT_ENDS) -> Command:
    return Command(name, [sys.executable, "-c", code], os.environ, ROOT, ready_line="up", stop_within=5)


async def test_they_are_stopped_in_the_order_that_loses_nothing() -> None:
    out = io.StringIO()
    names = ["puzzle", "points", "realtime", "worker", "beat"]
    code = await Supervisor([command(n) for n in names], [], Printer(out, colour=False), stop_when_ready).run()
    assert code == 0
    ended = [line.split()[0] for line in out.getvalue().splitlines() if line.endswith("| ended")]
    assert ended[0] == "realtime"
    assert set(ended[1:3]) == {"puzzle", "points"}
    assert set(ended[3:]) == {"worker", "beat"}


def stop_when_ready() -> None:
    signal.raise_signal(signal.SIGTERM)


async def test_a_service_is_ready_when_its_address_says_so_and_not_before() -> None:
    out, port = io.StringIO(), any_free()
    words = [sys.executable, "-c", HTTP, str(port)]
    service = Command("puzzle", words, os.environ, ROOT, ready_url=f"http://127.0.0.1:{port}/readyz")
    await Supervisor([service], [], Printer(out, colour=False), stop_when_ready).run()
    assert out.getvalue().count("asked /readyz") == 3


async def test_when_one_dies_for_good_all_are_stopped() -> None:
    out = io.StringIO()
    # It ends only when the other one can be stopped in good order.
    commands = [command("puzzle"), command("points", "import sys, time; time.sleep(1); sys.exit(78)")]
    with pytest.raises(DiedForGoodError, match="points ended with code 78"):
        await Supervisor(commands, [], Printer(out, colour=False), stop_when_ready).run()
    assert "puzzle   | ended" in out.getvalue()


async def test_what_never_gets_ready_is_named() -> None:
    commands = [command("puzzle"), command("worker", "import time; time.sleep(600)")]
    supervisor = Supervisor(commands, [], Printer(io.StringIO(), colour=False), stop_when_ready, ready_within=1.0)
    with pytest.raises(DiedForGoodError, match=r"not ready after 1 s: worker$"):
        await supervisor.run()


async def test_a_server_that_dies_is_started_again_at_the_same_address(server_folder: Path) -> None:
    out = io.StringIO()
    with Valkey(server_folder / "supervised") as valkey:
        first = valkey.pid
        assert first is not None
        supervisor = Supervisor([command("puzzle")], [valkey], Printer(out, colour=False), lambda: None)
        task = asyncio.create_task(supervisor.run())
        signal_group(first, signal.SIGKILL)
        await asyncio.to_thread(wait_until, lambda: valkey.pid not in {None, first}, 10, "another valkey")
        assert valkey.answers()
        signal.raise_signal(signal.SIGTERM)
        assert await task == 0
    assert "valkey died; it is started again" in out.getvalue()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_polite_signal_ends_it_well(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", LAUNCHER], cwd=ROOT, stdout=subprocess.PIPE, text=True) as launcher:
        started = wait_for_ready(launcher)
        launcher.send_signal(number)
        rest = launcher.stdout.read() if launcher.stdout else ""
    assert launcher.returncode == 0
    assert [line for line in rest.splitlines() if line] == [
        "baton    | stopping",
        "puzzle   | ended",
        "worker   | ended",
    ]
    assert survivors(started) == set()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has died")
def test_a_killed_launcher_takes_all_along() -> None:
    with subprocess.Popen([sys.executable, "-c", LAUNCHER], cwd=ROOT, stdout=subprocess.PIPE, text=True) as launcher:
        started = wait_for_ready(launcher)
        launcher.kill()
    wait_until(lambda: not survivors(started), 5, "all processes to be gone")


def wait_for_ready(launcher: subprocess.Popen[str]) -> set[int]:
    assert launcher.stdout is not None
    for line in launcher.stdout:
        if line == "all ready\n":
            started = descendants(launcher.pid)
            assert len(started) == 2
            return started
    raise AssertionError("the launcher ended before it was ready")
