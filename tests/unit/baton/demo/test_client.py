"""The client against a server of canned replies, over real HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from baton.demo.client import Api, ApiError, is_loopback
from tests.unit.baton.demo.games import SESSION

TEAM = {"team_id": "00000000-0000-0000-0000-000000000004", "name": "Otters", "code": "ABC234", "host_token": "secret"}


@dataclass
class Request:
    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class CannedServer:
    """Gives the next of `replies` to each request; None hangs up instead."""

    replies: list[tuple[int, Any] | None]
    requests: list[Request] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.requests.append(Request(head[0], headers, body))
        reply = self.replies.pop(0)
        if reply is not None:
            content = reply[1] if isinstance(reply[1], bytes) else json.dumps(reply[1]).encode()
            start = f"HTTP/1.1 {reply[0]} .\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
            writer.write(start.encode() + content)
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def api_of(
    *replies: tuple[int, Any] | None, config: dict[str, str] | None = None
) -> AsyncIterator[tuple[Api, CannedServer]]:
    told = {"protocol": "baton.v1", "points_url": "", "puzzle_url": "", "socket_path": "/ws/game/{session_id}"}
    server = CannedServer([(200, told | (config or {})), *replies])
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with Api.open(f"http://127.0.0.1:{port}/") as api:
            yield api, server


async def test_addresses_come_from_the_gateway() -> None:
    config = {"points_url": "http://points.example/", "socket_path": "/play/{session_id}"}
    async with api_of(config=config) as (api, _):
        assert api.points_url == "http://points.example"
        assert api.puzzle_url == api.url
        assert api.another().points_url == "http://points.example"
        assert api.socket_url(SESSION) == f"ws{api.url.removeprefix('http')}/play/{SESSION}"


@pytest.mark.parametrize("trouble", [None, (503, {"code": "temporarily_unavailable"}), (502, b"<html>")])
async def test_a_write_is_repeated_with_the_same_key_until_it_is_answered(trouble: tuple[int, Any] | None) -> None:
    async with api_of(trouble, trouble, (201, TEAM)) as (api, server):
        made = await api.make_team("Otters")
    assert made.code == "ABC234"
    assert api.tally.retries == 2
    writes = server.requests[1:]
    assert len(writes) == 3
    assert len({write.headers["idempotency-key"] for write in writes}) == 1
    assert {write.body for write in writes} == {b'{"name":"Otters"}'}


async def test_every_write_has_a_key_of_its_own() -> None:
    async with api_of((201, TEAM), (201, TEAM)) as (api, server):
        await api.make_team("Otters")
        await api.another().make_team("Otters")
    keys = {request.headers.get("idempotency-key") for request in server.requests[1:]}
    assert len(keys) == 2


async def test_a_refusal_is_an_error_with_the_code_of_the_problem_and_is_not_repeated() -> None:
    async with api_of((409, {"code": "team_full", "detail": "No seat is free."})) as (api, server):
        with pytest.raises(ApiError, match="409 team_full: No seat is free") as refused:
            await api.another().join("ABC234", "Ada", "#fff")
    assert (refused.value.status, refused.value.code) == (409, "team_full")
    assert api.tally.refused == {"team_full": 1}
    assert len(server.requests) == 2


async def test_an_error_that_is_no_problem_document_is_an_error_too() -> None:
    async with api_of((500, b"oops")) as (api, _):
        with pytest.raises(ApiError, match="500 http_500: oops"):
            await api.make_team("Otters")


async def test_tokens_travel_in_the_header() -> None:
    async with api_of((404, {"code": "session_not_found"})) as (api, server):
        with pytest.raises(ApiError):
            await api.results(SESSION, "secret")
    assert server.requests[1].line == f"GET /sessions/{SESSION}/results HTTP/1.1"
    assert server.requests[1].headers["authorization"] == "Bearer secret"
    assert "idempotency-key" not in server.requests[1].headers


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost", "ws://[::1]:80/x", "http://127.9.9.9"])
def test_this_machine_is_reached_without_a_proxy(url: str) -> None:
    assert is_loopback(url)


@pytest.mark.parametrize("url", ["http://baton.example", "https://10.0.0.1", "http://localhost.example"])
def test_another_may_need_one(url: str) -> None:
    assert not is_loopback(url)
