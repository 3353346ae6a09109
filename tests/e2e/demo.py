"""`python -m baton demo`, run as a user runs it."""

import os
import subprocess
import sys

from baton.demo.system import ROOT

QUICK_RULES = '{"start_points": 10, "award": 1, "decay": 1, "interval_ms": 250, "countdown_ms": 500}'
QUICK = ["--speed", "3", "--rules", QUICK_RULES]
"""A few seconds of play."""


def start_demo(*words: str, settings: dict[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "baton", "demo", *words],
        cwd=ROOT,
        env={**os.environ, **(settings or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def demo(*words: str, settings: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Exit code, output and errors of a whole demo."""
    with start_demo(*words, settings=settings) as process:
        output, errors = process.communicate(timeout=110)
    return process.returncode, output, errors
