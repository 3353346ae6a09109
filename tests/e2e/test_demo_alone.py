"""`python -m baton demo` where nothing runs that it could play on."""

import tempfile
from pathlib import Path

import psutil
import pytest

from tests.e2e.demo import QUICK, demo
from tests.integration.baton.alive import wait_until


@pytest.mark.timeout(240)
def test_where_nothing_runs_it_starts_a_system_of_its_own_and_leaves_nothing_of_it() -> None:
    with tempfile.TemporaryDirectory(prefix="baton-test-demo-") as folder:
        Path(folder).chmod(0o711)
        settings = {"BATON_DATA_DIR": f"{folder}/none", "TMPDIR": folder}
        code, output, errors = demo("--plain", *QUICK, settings=settings)
        assert code == 0, output + errors
        assert "starting one of our own" in output
        wait_until(lambda: not processes_in(folder), 20, "the end of all that was started")
        assert list(Path(folder).iterdir()) == []


def processes_in(folder: str) -> list[psutil.Process]:
    """The processes whose command line names the folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(folder in word for word in process.info["cmdline"] or []):
            found.append(process)
    return found
