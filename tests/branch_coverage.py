"""Branch coverage by SlipCover, for `pytest -p tests.branch_coverage`, with the workers of pytest-xdist or without.

Up to Python 3.11 a tracer is called at every line for as long as the tests run, which took as long again as the tests.
SlipCover writes marks into our code as it is imported, and takes out those that were reached. So what is to be measured
must not be imported before this plugin. What runs in processes of its own is not measured.
"""

import json
from typing import Any

import pytest
import slipcover

SOURCE = ["contracts", "services", "worker", "baton"]
OMIT = ["services/*/migrations/*"]
NOT_FOR_TESTS = ["raise NotImplementedError", "if __name__ == .__main__.:"]
MISSING_WIDTH = 60
SENT = "branch_coverage"

measured = slipcover.Slipcover(branch=True, omit=OMIT, exclude_also=NOT_FOR_TESTS)
slipcover.ImportManager(measured, slipcover.FileMatcher(SOURCE, OMIT)).__enter__()
parts: list[dict[str, Any]] = []


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker has ended. One that has crashed sends nothing."""
    if part := getattr(node, "workeroutput", {}).get(SENT):
        parts.append(json.loads(part))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker sends what it measured. Elsewhere it is one part, and without workers the only one."""
    part = json.dumps(measured.get_coverage())
    workeroutput = getattr(session.config, "workeroutput", None)
    if workeroutput is None:
        parts.append(json.loads(part))
    else:
        workeroutput[SENT] = part


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the files with lines or branches that no test has reached, and the sums over all files."""
    total = parts[0]
    for part in parts[1:]:
        slipcover.merge_coverage(total, part)
    slipcover.merge_coverage(total, _never_imported(total["files"]))
    terminalreporter.section("branch coverage")
    slipcover.print_coverage(total, outfile=terminalreporter, skip_covered=True, missing_width=MISSING_WIDTH)
    summary = total["summary"]
    branches = summary["covered_branches"] + summary["missing_branches"]
    terminalreporter.write_line(
        f"covered: {summary['percent_covered']:.1f} % of all lines and branches, "
        f"{100 * summary['covered_branches'] / branches:.1f} % of {branches} branches"
    )


def _never_imported(imported: dict[str, Any]) -> dict[str, Any]:
    """All lines and branches of the files that no test has imported."""
    rest = slipcover.Slipcover(branch=True, source=SOURCE, omit=[*OMIT, *imported], exclude_also=NOT_FOR_TESTS)
    return dict(rest.get_coverage())
