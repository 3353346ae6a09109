"""`python -m tests.load`, as `make bench-fanout` calls it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from baton.plan import ROOT

COMMAND = [sys.executable, "-m", "tests.load"]
PATIENCE_S = 60

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="the load client is written in C")


def test_the_gateway_is_measured_beside_the_floor_and_nothing_is_lost(tmp_path: Path) -> None:
    out = tmp_path / "fanout.json"
    words = ["--subjects", "floor,baton", "--workloads", "crowd,storm", "--seconds", "0.5", "--repetitions", "1"]
    ended = subprocess.run(
        [*COMMAND, *words, "--out", str(out)], cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = {(row["workload"], row["subject"]): row for row in json.loads(out.read_text())}
    for subject in ("floor", "baton"):
        crowd, storm = rows["crowd", subject], rows["storm", subject]
        assert (crowd["delivered"], crowd["lost"], crowd["doubled"], crowd["closed"]) == (25_000, 0, 0, 0)
        assert crowd["cpu_us_per_delivery"] > 0
        assert crowd["p50_ms"] <= crowd["p99_ms"] <= crowd["p999_ms"]
        assert storm["connects_per_s"] > 0
    assert rows["crowd", "floor"]["ratio_to_floor"] == 1.0


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
        bench.send_signal(number)
        bench.wait(PATIENCE_S)

    _, alive = psutil.wait_procs(children, timeout=PATIENCE_S)
    assert alive == []
