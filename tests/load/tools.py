"""The load clients, the publisher and the floor of the fan-out: C, compiled when it changed."""

import os
import shutil
import subprocess

from tests.load.machine import BENCH, ROOT, BenchError

SOURCES = ROOT / "tests" / "load"


def compile_tools() -> None:
    """Make them all in build/bench. Raises BenchError."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise BenchError("there is no C compiler (cc): the load clients are written in C")
    BENCH.mkdir(parents=True, exist_ok=True)
    newest_header = max(header.stat().st_mtime for header in SOURCES.glob("*.h"))
    for name in ("client", "publisher", "floor", "answerer"):
        source, program = SOURCES / f"{name}.c", BENCH / name
        if program.exists() and program.stat().st_mtime > max(source.stat().st_mtime, newest_header):
            continue
        unfinished = program.with_name(f"{name}.{os.getpid()}")
        made = subprocess.run(
            [compiler, "-O2", "-Wall", "-Wextra", "-o", str(unfinished), str(source)],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise BenchError(f"{source.name} does not compile:\n{made.stderr}")
        unfinished.replace(program)  # at once, since others may be starting it
