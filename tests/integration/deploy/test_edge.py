"""What the edge does with requests, as far as it can be read off its configuration."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from services.kit.errors import problem_response
from services.kit.front import MAX_BODY_BYTES
from services.kit.problem import Problem
from services.points.main import application
from services.points.settings import PointsSettings
from services.puzzle.main import create_app as puzzle
from services.puzzle.settings import PuzzleSettings
from services.realtime.main import create_app as realtime
from services.realtime.settings import RealtimeSettings
from services.realtime.stream import HEARTBEAT_S

CONFIGURATION = (Path(__file__).parents[3] / "deploy" / "nginx" / "nginx.conf").read_text()
HEALTH = {"/livez", "/readyz"}


def routes() -> list[tuple[str, str]]:
    """Patterns of paths, with the address that answers them."""
    found = re.search(r"map \$uri \$service \{(.*?)\n    \}", CONFIGURATION, re.DOTALL)
    assert found is not None
    return re.findall(r'"~(\S+)"\s+(\S+);', found[1]) + re.findall(r"(default)\s+(\S+);", found[1])


def answers(path: str) -> str:
    """The address to which the edge sends a path."""
    return next(address for pattern, address in routes() if pattern == "default" or re.search(pattern, path))


def documented(app: FastAPI) -> set[str]:
    return {re.sub(r"\{\w+\}", "0b0e9c1e", path) for path in app.openapi()["paths"]}


@pytest.mark.parametrize(
    ("app", "address"),
    [
        (application(PointsSettings()), "points:8001"),
        (puzzle(PuzzleSettings()), "puzzle:8002"),
    ],
    ids=["points", "puzzle"],
)
def test_every_path_of_a_service_goes_to_that_service(app: FastAPI, address: str) -> None:
    paths = documented(app) - HEALTH

    assert paths
    assert {path: answers(path) for path in paths} == dict.fromkeys(paths, address)


def test_the_gateway_answers_the_rest_and_its_health_is_that_of_the_address() -> None:
    paths = documented(realtime(RealtimeSettings())) | {"/", "/assets/main.js", "/ws/game/0b0e9c1e", "/pointsx"}

    assert paths >= HEALTH
    assert {path: answers(path) for path in paths} == dict.fromkeys(paths, "realtime:8000")


def test_each_service_shows_its_api_page() -> None:
    assert answers("/docs/points") == answers("/docs/points/openapi.json") == "points:8001"
    assert answers("/docs/puzzle") == answers("/docs/puzzle/openapi.json") == "puzzle:8002"
    assert answers("/docs/realtime") == "realtime:8000"


def test_what_stays_open_is_passed_on_at_once_and_may_be_quiet_between_two_heartbeats() -> None:
    found = re.search(r"location ~ \^/\(ws\|sse\)/ \{(.*?)\n        \}", CONFIGURATION, re.DOTALL)

    assert found is not None
    assert "proxy_buffering off;" in found[1]
    timeout = re.search(r"proxy_read_timeout (\d+)h;", found[1])
    assert timeout is not None
    assert int(timeout[1]) * 3600 > HEARTBEAT_S


def test_a_body_that_a_service_would_take_passes_the_edge_and_no_larger_one() -> None:
    found = re.search(r"client_max_body_size (\d+)k;", CONFIGURATION)

    assert found is not None
    assert int(found[1]) * 1024 == MAX_BODY_BYTES


@pytest.mark.parametrize(
    "problem",
    [
        Problem(404, "not_found", "Not Found"),
        Problem(413, "body_too_large", f"A body may have at most {MAX_BODY_BYTES} bytes."),
        Problem(503, "temporarily_unavailable", "The service does not answer; repeat the request."),
    ],
    ids=lambda problem: problem.code,
)
def test_the_edges_own_errors_are_problem_documents_like_the_services(problem: Problem) -> None:
    bodies = dict(re.findall(r"return (\d+) '(\{.*\})';", CONFIGURATION))
    ours: dict[str, Any] = json.loads(bodies[str(problem.status)])
    theirs: dict[str, Any] = json.loads(bytes(problem_response(problem).body))

    # Python's name of 413 changed between its versions.
    assert {**ours, "title": ""} == {**theirs, "title": ""}
