"""The sign of life that the health checks of worker and beat look at."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from baton.plan import ROOT
from tests.integration.baton.alive import wait_until


@contextmanager
def celery(folder: Path, settings: Mapping[str, str], *words: str) -> Iterator[None]:
    """A Celery process of ours with these settings; in `folder`, `log` is its log and `pulse` its sign of life."""
    folder.mkdir()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "--quiet", "--app=worker.app", *words],
            cwd=ROOT,
            env={**os.environ, **settings, "BATON_PULSE_FILE": str(folder / "pulse")},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(45)


@pytest.fixture
def settings(redis_url: str, fresh_database_url: str, clean: None) -> dict[str, str]:
    return {"REDIS_URL": redis_url, "DATABASE_URL": fresh_database_url}


def is_touched_again(file: Path) -> bool:
    """Whether the file is there; forgets it, so that the next answer is about what comes from now on."""
    there = file.exists()
    file.unlink(missing_ok=True)
    return there


def test_beat_and_worker_touch_their_files_again_and_again_while_the_work_gets_done(
    settings: dict[str, str], tmp_path: Path
) -> None:
    of_beat, of_worker = tmp_path / "beat", tmp_path / "worker"

    with (
        celery(of_beat, settings, "beat", f"--schedule={tmp_path / 'schedule'}"),
        celery(of_worker, settings, "worker", "--concurrency=1"),
    ):
        for _ in range(3):
            wait_until(lambda: is_touched_again(of_beat / "pulse"), 50, "a sign of life of beat")
            wait_until(lambda: is_touched_again(of_worker / "pulse"), 50, "a sign of life of the worker")


def test_a_worker_whose_database_is_away_gives_no_sign(settings: dict[str, str], tmp_path: Path) -> None:
    nowhere = {**settings, "DATABASE_URL": "postgresql://baton@127.0.0.1:1/baton"}
    of_beat, of_worker = tmp_path / "beat", tmp_path / "worker"

    with (
        celery(of_beat, settings, "beat", f"--schedule={tmp_path / 'schedule'}"),
        celery(of_worker, nowhere, "worker", "--concurrency=1"),
    ):
        wait_until(lambda: "raised unexpected" in (of_worker / "log").read_text(), 100, "a task that failed")
    assert (of_beat / "pulse").exists()
    assert not (of_worker / "pulse").exists()
