"""The shape of the code, as far as a machine can see it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LONGEST = 250
FILES = sorted(
    path
    for folder in ("contracts", "services", "worker", "baton")
    for path in (ROOT / folder).rglob("*.py")
    if path.parent.name != "versions"  # migrations, which nobody edits again
)


def test_there_are_files_to_look_at() -> None:
    assert len(FILES) > 100


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_about_one_thing(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= LONGEST, f"{lines} lines: split it by concept"


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.name == "__init__.py"], ids=lambda path: str(path.relative_to(ROOT))
)
def test_a_package_says_what_it_is_and_nothing_else(path: Path) -> None:
    body = ast.parse(path.read_text()).body
    assert len(body) == 1, "only a docstring belongs here"
    assert isinstance(body[0], ast.Expr)
    assert ast.get_docstring(ast.parse(path.read_text()))
