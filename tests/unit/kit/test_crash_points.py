"""Where processes can be told to die: only at points that exist, only where they are told to, only in development."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from services.kit.crash_points import EXIT_CRASH, POINTS, parse
from services.points.settings import PointsSettings
from tests.unit.kit.test_settings import complaint

ROOT = Path(__file__).parents[3]
TOLD_TO = "from services.kit import crash_points as c; c.arm('send.after:2')"


def passes(path: Path) -> list[str]:
    """The points by which a file lets the process come."""
    return [
        ast.literal_eval(node.args[0])
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func) == "crash_points.passed"
    ]


def test_each_point_is_at_one_place_in_the_code() -> None:
    found = Counter(point for path in (ROOT / "services").rglob("*.py") for point in passes(path))
    assert found == Counter(POINTS)


@pytest.mark.parametrize(
    ("comes_by", "code", "said"),
    [
        ("send.after send.before send.after", EXIT_CRASH, "crash point send.after reached\n"),
        ("send.after send.before commit.after", 0, ""),
    ],
)
def test_a_process_ends_when_it_comes_by_its_point_so_often(comes_by: str, code: int, said: str) -> None:
    program = f"{TOLD_TO}; [c.passed(point) for point in '{comes_by}'.split()]"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (code, said)


def test_a_point_alone_means_the_first_time() -> None:
    assert parse("commit.before") == ("commit.before", 1)
    assert parse("commit.before:40") == ("commit.before", 40)


@pytest.mark.parametrize(
    "setting", ["", "commit", "commit.during:1", "commit.after:", "commit.after:0", "send.after:x"]
)
def test_a_setting_that_means_nothing_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    said = complaint(PointsSettings, capsys, monkeypatch, BATON_CRASH=setting)
    assert said.startswith("configuration: BATON_CRASH: ")


def test_no_process_is_made_to_crash_in_production(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = complaint(PointsSettings, capsys, monkeypatch, BATON_ENV="production", BATON_CRASH="commit.after")
    assert "BATON_CRASH: a process is made to crash in development alone" in said
