"""How beat waits for the next task that is due."""

from typing import Any

from celery.beat import PersistentScheduler


class Scheduler(PersistentScheduler):
    """Celery's, but for its last ten milliseconds: from there on that one asks without a pause whether it is time.

    With some ten tasks a second, that would be most of what beat does.
    """

    def adjust(self, n: Any, drift: float = 0.0) -> Any:
        """Seconds to sleep when `n` seconds are left."""
        return super().adjust(n, drift)
