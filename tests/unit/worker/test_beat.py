"""Beat rests until the next task is due."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from worker.app import app
from worker.beat import Scheduler

PERIOD_S = 0.05
SENT = 8


class Counting(Scheduler):
    """Sends nothing, and notes when it would have."""

    sent: list[float]

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **_: Any) -> None:
        self.sent.append(time.monotonic())


def test_it_is_the_one_in_use() -> None:
    assert app.conf.beat_scheduler == f"{Scheduler.__module__}:{Scheduler.__qualname__}"


def test_it_asks_only_a_few_times_whether_a_task_is_due_and_sends_none_early(tmp_path: Path) -> None:
    celery = Celery(broker="memory://", set_as_current=False)
    celery.conf.beat_schedule = {"often": {"task": "often", "schedule": PERIOD_S}}
    scheduler = Counting(celery, schedule_filename=str(tmp_path / "schedule"))
    scheduler.sent = []
    asked = 0
    while len(scheduler.sent) < SENT:
        time.sleep(max(0.0, scheduler.tick()))
        asked += 1
    scheduler.close()
    assert asked <= 4 * SENT
    assert scheduler.sent[-1] - scheduler.sent[0] > 0.9 * PERIOD_S * (SENT - 1)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_clock_that_is_set_back_stops_no_beat(
    restarted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    celery = Celery(broker="memory://", set_as_current=False)
    celery.conf.beat_schedule = {name: {"task": name, "schedule": PERIOD_S} for name in ("this", "that")}

    def started() -> Counting:
        scheduler = Counting(celery, schedule_filename=str(tmp_path / "schedule"))
        scheduler.sent = []
        return scheduler

    def runs(scheduler: Counting) -> None:
        sent, ends_at = len(scheduler.sent), time.monotonic() + 30
        while len(scheduler.sent) < sent + SENT:
            assert time.monotonic() < ends_at
            time.sleep(min(1.0, max(0.0, scheduler.tick())))

    scheduler = started()
    runs(scheduler)
    genuine = Celery.now
    monkeypatch.setattr(Celery, "now", lambda celery: genuine(celery) - timedelta(hours=1))
    if restarted:
        scheduler.close()
        scheduler = started()
    runs(scheduler)
    scheduler.close()
