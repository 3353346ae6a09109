"""A whole system for each module that asks for one; when a test fails, what its processes wrote."""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.e2e.system import System


@pytest.fixture(scope="module")
def whole_system(server_folder: Path, request: pytest.FixtureRequest) -> Iterator[System]:
    """Everything runs and is ready, with two gateways. Whoever kills a part starts it again."""
    module: str = request.module.__name__
    with System(server_folder / module.rpartition(".")[2]) as system:
        system.start()
        yield system


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    system = getattr(item, "funcargs", {}).get("whole_system")
    if report.failed and isinstance(system, System):
        report.sections += [(f"end of the log of {name}", words) for name, words in system.last_words()]
    return report
