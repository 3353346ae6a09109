"""A sign of life for health checks: a file that is touched whenever the process has done its work."""

from pathlib import Path
from typing import Any

from celery.signals import after_task_publish, task_success


def keep(file: Path) -> None:
    """Touch `file` in a worker when a task has succeeded, and in beat when the broker has taken one.

    So a worker's file stays young only while beat, the broker, the worker and the database work together.
    """

    def touch(**_: Any) -> None:
        file.touch()

    task_success.connect(touch, weak=False)
    after_task_publish.connect(touch, weak=False)
