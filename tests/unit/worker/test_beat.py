"""Beat rests until the next task is due."""

import time
from pathlib import Path
from typing import Any

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
