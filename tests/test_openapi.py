"""All three services, bombarded with what their OpenAPI documents allow and what they do not: never a 5xx.

Half of the requests are aimed at teams, sessions and players that exist; tokens of all kinds and none go along.
Schemathesis takes half a second to load: here alone, where it is used, and not as a plugin of every run of pytest.
"""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable

from services.kit.settings import DEVELOPMENT_OPERATOR_KEY
from services.realtime.main import create_app as realtime_application
from services.realtime.settings import RealtimeSettings
from tests.conftest import empty_database

REACHED = {"points": {200, 201, 202, 401, 403, 404, 409, 422}, "puzzle": {200, 401, 403, 404, 422}, "realtime": {200}}
"""Statuses without which the requests would not have come far."""
EXAMPLES = settings(
    max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The application on a port of its own, in a thread, until the end of the block."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            thread.join(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


class World:
    """Services with something in them, and ways to send a generated request at it."""

    def __init__(self, urls: dict[str, str]) -> None:
        self.urls = urls
        self.ids: dict[str, list[str]] = {}
        self.tokens: list[str | None] = [None, "forged.token.x"]
        with httpx.Client(base_url=urls["points"], trust_env=False) as client:
            for _ in range(2):
                self._populate(client)
        self._chance = random.Random(1)
        self.seen: Counter[int] = Counter()

    def _populate(self, client: httpx.Client) -> None:
        team = client.post("/teams", json={"name": "Otters"}).json()
        self._note(team_id=team["team_id"], code=team["code"])
        for name in ("Ada", "Bob"):
            player = client.post(f"/teams/{team['code']}/players", json={"name": name}).json()
            self._note(player_id=player["player_id"])
            self.tokens.append(player["token"])
        self.tokens += [team["host_token"], client.post(f"/teams/{team['code']}/spectators").json()["token"]]
        headers = {"Authorization": f"Bearer {team['host_token']}"}
        session = client.post("/sessions", json={"rules": {"countdown_ms": 0}}, headers=headers).json()
        self._note(session_id=session["session_id"])
        if len(self.ids["session_id"]) == 1:
            client.post(f"/sessions/{session['session_id']}/start", headers=headers)

    def _note(self, **ids: str) -> None:
        for name, value in ids.items():
            self.ids.setdefault(name, []).append(value)

    def bombard(self, case: Any) -> None:
        """Send the request, aimed or not, with some token or none; check the response."""
        from schemathesis.checks import not_a_server_error
        from schemathesis.specs.openapi import checks

        for name in case.path_parameters or {}:
            if name in self.ids and self._chance.random() < 0.5:
                case.path_parameters[name] = self._chance.choice(self.ids[name])
        headers: dict[str, Any] = {}
        tokens = self.tokens[:2] if case.path.startswith("/sse/") else self.tokens  # a stream would not end
        if (token := self._chance.choice(tokens)) is not None:
            headers["Authorization"] = f"Bearer {token}"
        if case.path == "/points/decay" and self._chance.random() < 0.7:
            headers["X-Operator-Key"] = DEVELOPMENT_OPERATOR_KEY
        response = case.call(headers=headers, timeout=10)
        self.seen[response.status_code] += 1
        as_documented = [
            checks.status_code_conformance,
            checks.content_type_conformance,
            checks.response_schema_conformance,
        ]
        case.validate_response(response, checks=[not_a_server_error, *as_documented])


@pytest.fixture(scope="module")
def world(points_app: FastAPI, puzzle_app: FastAPI, database_url: str, redis_url: str, valkey: Any) -> Iterator[World]:
    empty_database(database_url)
    valkey.flush()
    realtime_app = realtime_application(RealtimeSettings(redis_url=redis_url))
    apps = {"points": points_app, "puzzle": puzzle_app, "realtime": realtime_app}
    with ExitStack() as stack:
        yield World({name: stack.enter_context(serving(app)) for name, app in apps.items()})


@pytest.mark.parametrize("service", ["points", "puzzle", "realtime"])
def test_no_request_is_a_servers_fault_and_every_response_is_as_documented(world: World, service: str) -> None:
    import schemathesis

    world.seen.clear()
    document: Any = schemathesis.openapi.from_url(f"{world.urls[service]}/openapi.json")
    for found in document.get_all_operations():
        operation = found.ok()
        for mode in schemathesis.GenerationMode:

            @EXAMPLES
            @given(case=operation.as_strategy(generation_mode=mode))
            def bombard(case: Any) -> None:
                world.bombard(case)

            try:
                bombard()
            except Unsatisfiable:  # nothing can be wrong with an operation that takes nothing
                assert mode is schemathesis.GenerationMode.NEGATIVE
    assert world.seen.keys() >= REACHED[service], world.seen
