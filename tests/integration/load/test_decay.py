"""`python -m tests.load.decay`, as `make bench-decay` calls it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from baton.plan import ROOT

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="the publisher is written in C")


@pytest.mark.timeout(240)
def test_an_interval_is_settled_and_told_by_one_worker(tmp_path: Path) -> None:
    out = tmp_path / "decay.json"
    ended = subprocess.run(
        [sys.executable, "-m", "tests.load.decay", "--sessions", "200", "--share", "0.05", "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=220,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = json.loads(out.read_text())
    assert [(row["players"], row["sessions"], row["eliminations"]) for row in rows] == [(800, 200, 40)]
    for row in rows:
        assert all(row[name] > 0 for name in ("seconds", "rooms_told_per_s", "worker_cpu_s", "worker_rss_mb"))
        assert all(row[name] > 0 for name in ("floor_update_s", "floor_rooms_per_s"))
        # Seven rows each (docs/performance.md), and some more for each fourth, which ends a game.
        assert 7 <= row["rows_per_elimination"] < 12
