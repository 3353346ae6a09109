"""What one of a worker's processes does in one interval: settle everything that is due, or tell every room its tick.

The tasks are the worker's own. Waits for a line of input, so that all begin at once, and prints one of JSON.
"""

import json
import resource
import sys
import time

from worker.app import load_tasks

load_tasks()
from worker import tasks  # noqa: E402 (as a worker comes to them)


def settle() -> int:
    """Settle until nothing is due, as beat would ask for it again and again."""
    settled = 0
    while found := tasks.settle():
        settled += found
    return settled


def main(settles: bool) -> None:
    """Do one of the two, and say how long it took and what it cost."""
    tasks.end_countdowns()  # a worker that runs has its connections
    print("ready", flush=True)  # noqa: T201 (it is what the benchmark reads)
    sys.stdin.readline()
    cpu, began = time.process_time(), time.monotonic()
    found = settle() if settles else tasks.tell_rooms()
    figures = {
        "did": found,
        "seconds": time.monotonic() - began,
        "cpu_s": time.process_time() - cpu,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(figures), flush=True)  # noqa: T201 (likewise)
    tasks.runtime.close()


if __name__ == "__main__":
    main(sys.argv[1] == "settle")
