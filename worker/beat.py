"""How beat waits for the next task that is due."""

from datetime import timedelta
from typing import Any

import structlog
from celery.beat import PersistentScheduler

log = structlog.get_logger()

STEP = timedelta(seconds=1)
"""What a clock may be set back without anybody noticing: the tasks are that much later, once."""


class Scheduler(PersistentScheduler):
    """Celery's, but for two things.

    In its last ten milliseconds before a task that one asks without a pause whether it is time. With some ten tasks a
    second, that would be most of what beat does.

    And it goes by the clock of the day: where that is set back by an hour, it would send nothing for an hour, also
    after a restart, since it keeps when it sent a task. Here such a task counts as sent just now.
    """

    def adjust(self, n: Any, drift: float = 0.0) -> Any:
        """Seconds to sleep when `n` seconds are left."""
        return super().adjust(n, drift)

    def tick(self, *args: Any, **options: Any) -> Any:
        """Send what is due. Returns the seconds until something will be."""
        self._forget_the_future()
        return super().tick(*args, **options)

    def _forget_the_future(self) -> None:
        ahead = [
            entry
            for entry in self.schedule.values()
            if entry.last_run_at is not None and entry.last_run_at > entry.default_now() + STEP
        ]
        for entry in ahead:
            entry.last_run_at = entry.default_now()
        if ahead:
            self._heap = None  # it is made anew, from these instants
            log.warning("clock_was_set_back", tasks=len(ahead))
