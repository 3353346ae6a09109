"""Peers are installed when they are first asked for, into build/bench, and never beside Baton."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.load.machine import BENCH, ROOT, BenchError, last_words

SOURCES = ROOT / "tests" / "load" / "peers"
APPS = "tests.load.peers.apps"
VENV = BENCH / "venv"
NODE = BENCH / "node"
NGINX = BENCH / "nginx"
NGINX_PACKAGES = ("nginx", "libnginx-mod-nchan")
MODULE = "usr/lib/nginx/modules/ngx_nchan_module.so"


def python_peers() -> Path:
    """The Python that has Channels and python-socketio. Raises BenchError where they cannot be installed."""
    wanted = SOURCES / "requirements.txt"
    if not _is_current(VENV, wanted):
        _call([sys.executable, "-m", "venv", "--clear", str(VENV)], BENCH)
        pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
        _call([*pip, "-r", str(wanted)], BENCH)
        _note(VENV, wanted)
    return VENV / "bin" / "python"


def node_peers() -> Path:
    """The folder of Node's modules. Raises BenchError where they cannot be installed."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise BenchError("there is no node with npm")
    wanted = SOURCES / "package.json"
    if not _is_current(NODE, wanted):
        shutil.rmtree(NODE, ignore_errors=True)
        NODE.mkdir(parents=True)
        shutil.copy(wanted, NODE)
        _call([npm, "install", "--no-package-lock", "--no-audit", "--no-fund"], NODE)
        _note(NODE, wanted)
    return NODE / "node_modules"


def nginx_with_nchan(*, download: bool) -> tuple[Path, Path]:
    """nginx and Nchan's module: the machine's own, or with `download` Debian's, unpacked and not installed.

    Raises BenchError where there are none.
    """
    own = shutil.which("nginx")
    if own is not None and (Path("/") / MODULE).exists():
        return Path(own), Path("/") / MODULE
    program, module = NGINX / "usr" / "sbin" / "nginx", NGINX / MODULE
    if not module.exists():
        if not download:
            raise BenchError("there is no nginx with Nchan; APT=1 downloads Debian's")
        apt, dpkg = shutil.which("apt-get"), shutil.which("dpkg")
        if apt is None or dpkg is None:
            raise BenchError("there is no apt-get to download it with")
        shutil.rmtree(NGINX, ignore_errors=True)
        NGINX.mkdir(parents=True)
        _call([apt, "download", *NGINX_PACKAGES], NGINX)
        for package in NGINX.glob("*.deb"):
            _call([dpkg, "-x", str(package), str(NGINX)], NGINX)
    return program, module


def _is_current(folder: Path, wanted: Path) -> bool:
    note = folder / ".installed"
    return note.exists() and note.read_text() == wanted.read_text()


def _note(folder: Path, wanted: Path) -> None:
    shutil.copy(wanted, folder / ".installed")


def _call(words: Sequence[str], folder: Path) -> None:
    log = BENCH / "install.log"
    with log.open("wb") as output:
        try:
            code = subprocess.run(words, cwd=folder, stdout=output, stderr=output, timeout=300, check=False).returncode
        except subprocess.TimeoutExpired:
            raise BenchError(f"{Path(words[0]).name} took more than 300 s") from None
    if code != 0:
        raise BenchError(f"{Path(words[0]).name} failed: {last_words(log, 2)}")
