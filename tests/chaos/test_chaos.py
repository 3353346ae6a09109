"""A short run of `make chaos` with few teams. Longer ones are by hand: docs/chaos.md."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from baton.plan import ROOT

SEED = 3


@pytest.mark.timeout(400)
def test_whatever_breaks_nothing_is_lost_paid_twice_or_replayed_differently(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.chaos", "--minutes", "0.5", "--teams", "8", "--seed", str(SEED)]
    run = subprocess.run(
        [*command, "--out", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["passed"]
    assert report["broken"] == []
    assert report["checked"]["games checked"] == report["games"]["games"] > 0
