"""`python -m tests.load`, as `make bench-fanout` calls it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from baton.plan import ROOT

COMMAND = [sys.executable, "-m", "tests.load"]
PATIENCE_S = 60

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="the load client is written in C")


def _measure(out: Path, *words: str) -> dict[str, Any]:
    """The rows of a run, by subject."""
    ended = subprocess.run(
        [*COMMAND, *words, "--repetitions", "1", "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return {row["subject"]: row for row in json.loads(out.read_text())}


def test_the_gateway_is_measured_beside_the_floor_and_nothing_is_lost(tmp_path: Path) -> None:
    rows = _measure(tmp_path / "out", "--subjects", "floor,baton", "--workloads", "crowd", "--seconds", "0.5")
    for subject in ("floor", "baton"):
        crowd = rows[subject]
        assert (crowd["delivered"], crowd["lost"], crowd["doubled"], crowd["closed"]) == (25_000, 0, 0, 0)
        assert crowd["cpu_us_per_delivery"] > 0
        assert crowd["p50_ms"] <= crowd["p99_ms"] <= crowd["p999_ms"]
    assert rows["floor"]["ratio_to_floor"] == 1.0


def test_a_storm_is_measured_too(tmp_path: Path) -> None:
    assert _measure(tmp_path / "out", "--subjects", "floor", "--workloads", "storm")["floor"]["connects_per_s"] > 0


def test_an_unknown_subject_is_refused_with_the_names_of_those_there_are() -> None:
    ended = subprocess.run(
        [*COMMAND, "--subjects", "flor"], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )

    assert ended.returncode == 2
    assert "flor" in ended.stderr
    assert "floor" in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_it_started_outlives_it(number: signal.Signals, tmp_path: Path, server_folder: Path) -> None:
    environment = os.environ | {"TMPDIR": str(server_folder)}  # killed with -9, it leaves its folder behind
    words = ["--subjects", "floor", "--workloads", "crowd", "--seconds", "60", "--out", str(tmp_path / "out")]
    with subprocess.Popen([*COMMAND, *words], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as bench:
        children: list[psutil.Process] = []
        while {"client", "publisher", "floor"} - {child.name() for child in children}:  # all are running
            children = psutil.Process(bench.pid).children(recursive=True)
            time.sleep(0.05)
        bench.send_signal(number)
        bench.wait(PATIENCE_S)

    _, alive = psutil.wait_procs(children, timeout=PATIENCE_S)
    assert alive == []
