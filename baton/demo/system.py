"""The Baton to play on: the one that was asked for, the one that runs here, or one of our own."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL, SIGTERM

import httpx

from baton.orphans import dies_with_us, signal_group
from baton.ports import any_free

ROOT = Path(__file__).resolve().parents[2]
START_WITHIN_S = 120.0
STOP_WITHIN_S = 30.0
NOT_OURS = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "BATON_")
"""Settings that would lead a system of our own into somebody else's data."""


class NoSystemError(Exception):
    """There is no Baton to play on; the message says why."""


def running_address(folder: Path) -> str | None:
    """The address of the Baton that `make up` runs with its data in `folder`, if it answers."""
    try:
        address = (folder / "address").read_text().strip()
        httpx.get(f"{address}/livez", timeout=2.0, trust_env=False).raise_for_status()
    except (OSError, httpx.HTTPError, httpx.InvalidURL):
        return None
    return address


@contextmanager
def own_system(surroundings: Mapping[str, str]) -> Iterator[str]:
    """Start a whole Baton on free ports with its data in a temporary folder; gives its address. Stopped at the end.

    Raises NoSystemError with the last lines of its log when it is not ready within two minutes.
    """
    folder = Path(tempfile.mkdtemp(prefix="baton-demo-"))
    log_file = folder / "log"
    command = [sys.executable, "-m", "baton", "up", "--data-dir", str(folder / "data"), "--port", str(any_free())]
    environment = {name: value for name, value in surroundings.items() if not name.startswith(NOT_OURS)}
    folder.chmod(0o711)  # started by root, its servers run as another user, who must come through
    try:
        with log_file.open("wb") as log:
            # A session of its own: Ctrl-C is for us first, who have a game to end.
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=dies_with_us(SIGTERM),
            )
        try:
            yield _wait_until_ready(process, folder / "data", log_file)
        finally:
            _stop(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(process: subprocess.Popen[bytes], folder: Path, log_file: Path) -> str:
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline:
        if address := running_address(folder):
            return address
        if process.poll() is not None:
            break
        time.sleep(0.1)
    words = "".join(f"\n  {line}" for line in log_file.read_text(errors="replace").splitlines()[-15:])
    raise NoSystemError(f"no Baton runs here, and none could be started:{words}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(SIGTERM)
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            signal_group(process.pid, SIGKILL)
            process.wait()


def data_folder() -> Path:
    """Where `make up` keeps its data."""
    return Path(os.environ.get("BATON_DATA_DIR") or ROOT / ".baton")
