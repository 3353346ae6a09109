"""`python -m tests.load.answers`, as `make bench-answers` calls it, and that its load client notices what is lost."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from baton.plan import ROOT

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="the load client is written in C")


@pytest.mark.timeout(240)
def test_answers_are_measured_beside_the_floor_and_no_award_is_lost_or_doubled(tmp_path: Path) -> None:
    out = tmp_path / "answers.json"

    ended = subprocess.run(
        [sys.executable, "-m", "tests.load.answers", "--clients", "1,4", "--seconds", "1", "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=220,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = json.loads(out.read_text())
    assert [(row["subject"], row["load"], row["clients"]) for row in rows] == [
        *(("floor", "closed", clients) for clients in (1, 4, 16)),
        *(("baton", "closed", clients) for clients in (1, 4)),
        ("baton", "half", None),
    ]
    assert max(row["ratio_to_floor"] for row in rows if row["subject"] == "floor") == 1.0
    for row in rows:
        assert row["per_s"] > 0
        assert 0 < row["p50_ms"] <= row["p99_ms"]
        if row["subject"] == "baton":
            assert (row["lost"], row["strays"], row["gaps"]) == (0, 0, 0)
            assert all(used >= 0 for used in row["cpu_us"].values())
            assert row["p50_from_sent_ms"] >= row["p50_ms"]
