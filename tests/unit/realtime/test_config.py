import httpx
import pytest

from services.realtime.main import create_app
from services.realtime.settings import RealtimeSettings


async def _get(host: str, **settings: str) -> httpx.Response:
    transport = httpx.ASGITransport(create_app(RealtimeSettings.model_validate(settings)))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        return await client.get("/config", headers={b"Host": host.encode("latin-1")})


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("game.example", "game.example"),
        ("game.example:8000", "game.example"),
        ("192.168.0.7:8000", "192.168.0.7"),
        ("[fe80::1]:8000", "[fe80::1]"),
        ("localhost", "localhost"),
    ],
)
async def test_addresses_name_the_machine_as_the_client_knows_it(host: str, name: str) -> None:
    response = await _get(host)
    assert response.json() == {
        "protocol": "baton.v1",
        "points_url": f"http://{name}:8001",
        "puzzle_url": f"http://{name}:8002",
        "socket_path": "/ws/game/{session_id}",
        "stream_path": "/sse/game/{session_id}",
    }
    assert response.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("host", ["", "evil.example/@", "a b", "-", "x:80:80", "x:port", "user@host", "[::1", '"', "é"])
async def test_a_host_that_is_none_gets_no_address(host: str) -> None:
    response = await _get(host)
    assert (response.status_code, response.json()["code"]) == (400, "invalid_host")


async def test_addresses_without_a_placeholder_are_told_as_they_are() -> None:
    response = await _get("a b", points_url="", puzzle_url="https://puzzle.example")
    assert (response.json()["points_url"], response.json()["puzzle_url"]) == ("", "https://puzzle.example")
