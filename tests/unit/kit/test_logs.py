"""Logs: one line an event, of libraries too."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = """
import logging, structlog
from services.kit import logs
from services.kit.settings import Settings
logs.configure(Settings(log_format="{format}", log_level="INFO"), "points")
structlog.get_logger().debug("unheard")
structlog.get_logger().info("answered", points=5)
logging.getLogger("a.library").warning("of %s", "another")
try:
    raise ValueError("no")
except ValueError as error:
    structlog.get_logger().error("failed", exc_info=error)
"""


@cache
def lines(kind: str) -> list[str]:
    program = PROGRAM.replace("{format}", kind)
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stderr == ""
    return ended.stdout.splitlines()


def test_for_machines_each_line_is_one_json_object() -> None:
    answered, library, failed = [json.loads(line) for line in lines("json")]
    assert (answered["event"], answered["points"], answered["level"]) == ("answered", 5, "info")
    assert (library["event"], library["level"]) == ("of another", "warning")
    assert (failed["event"], failed["level"]) == ("failed", "error")
    assert "ValueError: no" in failed["exception"]
    assert {line["service"] for line in (answered, library, failed)} == {"points"}
    assert answered["timestamp"].endswith("Z")


@pytest.mark.parametrize("word", ["answered", "points=5", "of another", "ValueError: no"])
def test_for_people_it_is_text_without_colours_where_nobody_looks(word: str) -> None:
    text = "\n".join(lines("console"))
    assert word in text
    assert "\x1b" not in text
    assert "unheard" not in text
