"""Children that cannot outlive us: not even when we are killed with -9."""

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1

# Loaded here and not after the fork, where another thread's lock on the loader would be held for ever.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def dies_with_us(death_signal: signal.Signals) -> Callable[[], None] | None:
    """A `preexec_fn`: the kernel sends the child `death_signal` when the thread that started it ends.

    Start such children from a thread that lives as long as the process, best the main one. Popen runs the
    function after it changed the user, which would undo the setting. None where the system has no such thing
    (macOS): there, a launcher killed with -9 leaves its children behind.
    """
    if _libc is None:
        return None
    prctl, getppid, us, number = _libc.prctl, os.getppid, os.getpid(), int(death_signal)

    def before_exec() -> None:
        prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
        if getppid() != us:  # we died between the fork and the line above: nobody will tell the child
            os._exit(1)

    return before_exec


def signal_group(pid: int, number: signal.Signals) -> None:
    """Signal all processes of the group that `pid` leads; nothing happens when none is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
