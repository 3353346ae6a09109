"""What a worker does in one interval, in a process of its own: everything due is settled, and every room told its tick.

The tasks are the worker's own, called one after the other as its one process would. Prints one line of JSON.
"""

import json
import resource
import time

from worker import tasks


def main() -> None:
    """Do it, and say how long it took and what it cost."""
    tasks.end_countdowns()  # a worker that runs has its connections
    cpu, began = time.process_time(), time.monotonic()
    settled = 0
    while found := tasks.settle():
        settled += found
    settled_at = time.monotonic()
    told = tasks.tell_rooms()
    ended_at = time.monotonic()
    print(  # noqa: T201 (it is what the benchmark reads)
        json.dumps(
            {
                "settled": settled,
                "settle_s": settled_at - began,
                "told": told,
                "tell_s": ended_at - settled_at,
                "cpu_s": time.process_time() - cpu,
                "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )
    tasks.runtime.close()


if __name__ == "__main__":
    main()
