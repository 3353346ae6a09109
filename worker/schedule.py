"""The whole schedule, in seconds.

Every task settles up to the database's now, so a run too many changes nothing and a run too few is caught up: any
number of beats may run at once. A run that was not started in time is dropped, so that a worker that was away does
not come back to a heap of them.
"""

from typing import Any

from contracts import tasks

PERIODS = {
    tasks.END_COUNTDOWNS: 0.25,
    tasks.SETTLE: 0.25,
    tasks.EXPIRE_PUZZLES: 0.5,
    tasks.TELL_ROOMS: 1.0,
    tasks.SWEEP: 1.0,
    tasks.FOLD_STANDINGS: 2.0,
    tasks.REPLAY_FINISHED: 5.0,
    tasks.ARCHIVE_FINISHED: 10.0,
    tasks.CLOSE_ABANDONED: 60.0,
    tasks.FORGET_OLD: 60.0,
}

SCHEDULE: dict[str, dict[str, Any]] = {
    name: {"task": name, "schedule": period, "options": {"expires": max(2.0, period)}}
    for name, period in PERIODS.items()
}
