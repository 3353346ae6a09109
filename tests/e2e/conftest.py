"""One whole system for all tests in this folder; when a test fails, what its processes wrote."""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from baton.demo import pace
from tests.e2e.faults import Figures
from tests.e2e.system import System


@pytest.fixture(scope="package")
def started_system(server_folder: Path) -> Iterator[System]:
    """Everything runs and is ready, with two gateways."""
    with System(server_folder / "e2e") as system:
        system.start()
        yield system


@pytest.fixture
def system(started_system: System) -> Iterator[System]:
    """The system. What a test breaks and does not mend, because it fails before, is mended after it."""
    started_system.note_logs()
    yield started_system
    started_system.mend()


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """Notes what a fault cost: in the report of the test, and in the XML that `--junitxml` writes."""

    def note(what: str, value: object) -> None:
        request.node.user_properties.append((what, value))

    return note


@pytest.fixture
def bots_that_never_doze(monkeypatch: pytest.MonkeyPatch) -> None:
    """A puzzle that is left to expire would last longer than the rest of the game."""
    monkeypatch.setattr(pace, "DOZING", 0.0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    system = getattr(item, "funcargs", {}).get("started_system")
    if isinstance(system, System) and report.when == "call":
        report.sections += [("figures", f"{what}: {value}") for what, value in item.user_properties]
    if isinstance(system, System) and report.failed:
        report.sections += [(f"end of the log of {name}", words) for name, words in system.last_words()]
    return report
