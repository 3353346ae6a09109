"""Sockets from the handshake to the close, on a real server."""

from collections.abc import Callable

import httpx
import pytest

from contracts.frames import Error, Ping, Pong
from services.kit.tokens import Role, Signer
from tests.integration.realtime.clients import closed, dial, join, receive, token_for, until
from tests.integration.realtime.points import EPOCH, Points, Session

FORGED = Signer("A" * 42 + "E", 600)


async def test_a_player_is_welcomed_with_the_state_and_then_told_each_event(gateway_url: str, points: Points) -> None:
    session = await points.open(events=2)
    token = token_for(session.team_id, player_id=session.player_id)
    async with join(gateway_url, session, token=token) as client:
        assert client.socket.subprotocol == "baton.v1"
        assert (client.welcome.role, client.welcome.player_id) == ("player", session.player_id)
        assert (client.welcome.epoch, client.welcome.recovered) == (EPOCH, False)
        assert client.welcome.session_id == session.id
        assert (client.seq, client.state) == (3, session.state)
        for _ in range(20):
            await points.happen(session)
        await client.reach(23)
        assert client.state == session.state


@pytest.mark.parametrize("role", [Role.HOST, Role.SPECTATOR])
async def test_hosts_and_spectators_look_on_and_are_nobody_in_the_game(
    gateway_url: str, points: Points, role: Role
) -> None:
    session = await points.open()
    async with join(gateway_url, session, token=token_for(session.team_id, role=role)) as client:
        assert (client.welcome.role, client.welcome.player_id) == (role, None)
        await points.happen(session)
        await client.reach(2)


async def test_the_token_may_travel_in_the_list_of_subprotocols(gateway_url: str, points: Points) -> None:
    session = await points.open()
    offered = ["baton.v1", f"token.{token_for(session.team_id)}"]
    async with dial(gateway_url, session.id, subprotocols=offered) as socket:
        assert socket.subprotocol == "baton.v1"
        await socket.send('{"type": "join"}')
        assert b'"welcome"' in str(await receive(socket)).encode()


async def test_who_does_not_join_in_time_is_closed(new_gateway: Callable[..., str], points: Points) -> None:
    session = await points.open()
    async with dial(new_gateway(join_timeout_s=0.2), session.id) as socket:
        assert await closed(socket) == (4500, "join_timeout")


@pytest.mark.parametrize(
    ("token", "close"),
    [
        (lambda _: None, (4501, "invalid_token")),
        (lambda _: "", (4501, "invalid_token")),
        (lambda _: "nonsense", (4501, "invalid_token")),
        (lambda session: FORGED.sign(session.player_id, session.team_id, Role.PLAYER), (4501, "invalid_token")),
        (lambda session: token_for(session.team_id, life_s=-60), (4502, "expired_token")),
        (lambda _: token_for(Session().team_id), (4503, "forbidden")),
    ],
    ids=["none", "empty", "nonsense", "forged", "expired", "of another team"],
)
async def test_a_token_that_opens_nothing_here_is_refused(
    gateway_url: str, points: Points, token: object, close: tuple[int, str]
) -> None:
    session = await points.open()
    assert callable(token)
    made = token(session)
    async with dial(gateway_url, session.id) as socket:
        await socket.send('{"type": "join"}' if made is None else f'{{"type": "join", "token": "{made}"}}')
        assert await closed(socket) == close


@pytest.mark.parametrize("address", ["00000000-0000-4000-8000-000000000000", "what"])
async def test_a_session_that_points_does_not_know_is_unknown(gateway_url: str, points: Points, address: str) -> None:
    async with dial(gateway_url, address) as socket:
        await socket.send(f'{{"type": "join", "token": "{token_for(Session().team_id)}"}}')
        assert await closed(socket) == (4504, "unknown_session")
    assert points.rebuilt == []


async def test_a_first_frame_that_is_no_join_is_told_so_and_closed(gateway_url: str, points: Points) -> None:
    session = await points.open()
    for first in ('{"type": "ping"}', "{", '{"type": "join", "seq": -1}'):
        async with dial(gateway_url, session.id) as socket:
            await socket.send(first)
            assert '"bad_frame"' in str(await receive(socket))
            assert await closed(socket) == (4505, "bad_frames")


async def test_a_ping_is_answered_with_its_id(gateway_url: str, points: Points) -> None:
    session = await points.open()
    async with join(gateway_url, session) as client:
        await client.say(Ping(id=7))
        pong = await client.hear(Pong)
        assert pong.id == 7
        assert abs(pong.now - client.welcome.now) < 10_000


async def test_broken_frames_are_told_so_and_the_fifth_closes(gateway_url: str, points: Points) -> None:
    session = await points.open()
    async with join(gateway_url, session) as client:
        broken: list[str | bytes] = ["{", '"text"', '{"type": "cheat"}', b"\xff\xfe", '{"type": "join", "token": "x"}']
        for frame in broken:
            await client.say(frame)
            assert (await client.hear(Error)).code == "bad_frame"
        assert await closed(client.socket) == (4505, "bad_frames")


async def test_a_frame_over_the_limit_closes(gateway_url: str, points: Points) -> None:
    session = await points.open()
    for size, code in ((4097, 4506), (16_385, 1009)):
        async with join(gateway_url, session) as client:
            await client.socket.send("x" * size)
            assert (await closed(client.socket))[0] == code


async def test_the_page_the_assets_and_the_config_are_served(gateway_url: str, http: httpx.AsyncClient) -> None:
    page = await http.get(f"{gateway_url}/")
    asset = await http.get(f"{gateway_url}/assets/index.html")
    assert page.status_code == asset.status_code == 200
    assert page.headers["cache-control"] == asset.headers["cache-control"] == "no-cache"
    assert page.headers["content-type"].startswith("text/html")
    assert page.text == asset.text
    assert (await http.get(f"{gateway_url}/assets/../main.py")).status_code == 404
    assert (await http.get(f"{gateway_url}/config")).json()["points_url"] == "http://127.0.0.1:8001"


async def test_a_gateway_that_hears_its_own_probe_is_ready(gateway_url: str, http: httpx.AsyncClient) -> None:
    ready = {"ready": True, "checks": {"listener": "ok", "valkey": "ok", "open": "ok"}, "degraded": {}}

    async def is_ready() -> bool:
        return bool((await http.get(f"{gateway_url}/readyz")).json() == ready)

    await until(is_ready)  # tests before it may have held it up
