"""What beat asks for."""

from celery.app.task import Task

import worker.tasks  # noqa: F401 (they make themselves known to the app)
from worker.app import app
from worker.schedule import SCHEDULE


def test_everything_on_the_schedule_is_a_task_and_is_dropped_rather_than_heaped_up() -> None:
    for entry in SCHEDULE.values():
        assert isinstance(app.tasks[entry["task"]], Task)
        assert entry["options"]["expires"] >= entry["schedule"]
