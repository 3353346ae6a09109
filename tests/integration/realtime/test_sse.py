"""Streams of Server-Sent Events on a real server: the same sequence as a socket's."""

import asyncio
import socket
from collections.abc import Callable
from uuid import uuid4

import httpx
import pytest

from contracts.frames import Move
from contracts.ids import PlayerId
from contracts.rooms import PlayerJoined, PlayerLeft
from services.kit.tokens import Role, Signer
from services.realtime import http_protocol, stream
from tests.integration.realtime.clients import PATIENCE_S, join, token_for, until
from tests.integration.realtime.metrics import metric
from tests.integration.realtime.points import EPOCH, Points, Session
from tests.integration.realtime.processes import gateway
from tests.integration.realtime.streams import headers_of, listen

BIG = 400_000
FORGED = Signer("A" * 42 + "E", 600)


async def _refusal(
    http: httpx.AsyncClient, url: str, session_id: object, token: str | None, last_event_id: str | None = None
) -> tuple[int, str]:
    response = await http.get(f"{url}/sse/game/{session_id}", headers=headers_of(token, last_event_id), timeout=20)
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.headers.get("retry-after") is not None) == (response.status_code == 503)
    return response.status_code, response.json()["code"]


async def test_a_player_is_welcomed_with_the_state_and_then_told_each_event(
    gateway_url: str, points: Points, http: httpx.AsyncClient
) -> None:
    session = await points.open(events=2)
    token = token_for(session.team_id, player_id=session.player_id)
    async with listen(http, gateway_url, session, token=token) as client, join(gateway_url, session) as witness:
        assert client.response.headers["content-type"].startswith("text/event-stream")
        assert client.response.headers["cache-control"] == "no-cache"
        assert client.response.headers["x-accel-buffering"] == "no"
        assert client.welcome is not None
        assert (client.welcome.player_id, client.welcome.session_id) == (session.player_id, session.id)
        assert (client.seq, client.state) == (3, session.state)
        for _ in range(20):
            await points.happen(session)
        await points.rooms.say([(session.id, b'{"type":"move","in_ms":5}')])
        await client.reach(23)
        await points.happen(session)
        await client.reach(24)
        await witness.reach(24)
        assert client.state == witness.state == session.state
        assert Move(in_ms=5) in client.others


async def test_who_comes_back_is_told_exactly_what_was_missed(
    gateway_url: str, new_gateway: Callable[..., str], points: Points, http: httpx.AsyncClient
) -> None:
    session = await points.open()
    last_event_id = None
    for url in (gateway_url, new_gateway(), gateway_url):
        async with listen(http, url, session, last_event_id=last_event_id) as client:
            assert client.welcome is not None
            assert client.welcome.recovered == (last_event_id is not None)
            await client.reach(session.seq)
            for _ in range(3):
                await points.happen(session)
            await client.reach(session.seq)
            last_event_id = client.last_event_id
            assert last_event_id == f"{EPOCH}:{session.seq}"
        for _ in range(5):
            await points.happen(session)


async def test_a_stream_may_begin_where_a_socket_ended_and_the_other_way_round(
    gateway_url: str, points: Points, http: httpx.AsyncClient
) -> None:
    session = await points.open(events=5)
    async with listen(http, gateway_url, session, last_event_id=f"{EPOCH}:2") as client:
        await client.reach(6)
    async with join(gateway_url, session, seq=4, epoch=EPOCH) as socket_client:
        await socket_client.reach(6)


async def test_the_place_in_another_life_of_the_log_is_answered_by_a_snapshot(
    gateway_url: str, points: Points, http: httpx.AsyncClient
) -> None:
    session = await points.open(events=2)
    async with listen(http, gateway_url, session, last_event_id="another:2") as client:
        assert client.welcome is not None
        assert (client.welcome.recovered, client.state) == (False, session.state)


@pytest.mark.parametrize(
    ("token", "refusal"),
    [
        (lambda _: None, (401, "token_missing")),
        (lambda _: "nonsense", (401, "token_invalid")),
        (lambda session: FORGED.sign(session.player_id, session.team_id, Role.PLAYER), (401, "token_invalid")),
        (lambda session: token_for(session.team_id, life_s=-60), (401, "token_expired")),
        (lambda _: token_for(Session().team_id), (403, "forbidden")),
        (lambda session: token_for(session.team_id, player_id=PlayerId(uuid4())), (403, "left")),
    ],
    ids=["none", "nonsense", "forged", "expired", "of another team", "of nobody there"],
)
async def test_a_token_that_opens_nothing_here_is_refused(
    gateway_url: str,
    points: Points,
    http: httpx.AsyncClient,
    token: Callable[[Session], str | None],
    refusal: tuple[int, str],
) -> None:
    session = await points.open()
    assert await _refusal(http, gateway_url, session.id, token(session)) == refusal


async def test_what_is_not_there_or_not_understood_is_refused(
    gateway_url: str, points: Points, http: httpx.AsyncClient
) -> None:
    session = await points.open()
    token = token_for(session.team_id)
    assert await _refusal(http, gateway_url, uuid4(), token) == (404, "unknown_session")
    assert await _refusal(http, gateway_url, "what", token) == (422, "invalid_request")
    for wrong in ("7", ":7", f"{EPOCH}:", f"{EPOCH}:-1", f"{EPOCH}:x", f"{EPOCH}:9999999999999999"):
        assert await _refusal(http, gateway_url, session.id, token, wrong) == (422, "invalid_request")


async def test_a_gateway_that_is_full_or_cannot_read_the_room_says_when_to_come_back(
    new_gateway: Callable[..., str], points: Points, http: httpx.AsyncClient
) -> None:
    url = new_gateway(max_connections=1)
    session = await points.open()
    async with listen(http, url, session):
        assert await _refusal(http, url, session.id, token_for(session.team_id)) == (503, "gateway_full")
    deaf = new_gateway(redis_url="redis://127.0.0.1:1/0")
    assert await _refusal(http, deaf, session.id, token_for(session.team_id)) == (503, "room_unavailable")


async def test_streams_count_as_connections_of_their_token(
    new_gateway: Callable[..., str], points: Points, http: httpx.AsyncClient
) -> None:
    url = new_gateway(max_connections_per_token=2)
    session = await points.open()
    token = token_for(session.team_id)
    async with listen(http, url, session, token=token), join(url, session, token=token):
        assert await metric(http, url, "baton_connections", transport="sse") >= 1
        assert await _refusal(http, url, session.id, token) == (429, "too_many_connections")
    async with listen(http, url, session, token=token):
        pass

    async def all_gone() -> bool:
        return await metric(http, url, "baton_connections", transport="sse") == 0

    await until(all_gone)


async def test_a_removed_players_stream_ends_at_once_and_does_not_begin_again(
    gateway_url: str, points: Points, http: httpx.AsyncClient
) -> None:
    session = await points.open()
    player_id = PlayerId(uuid4())
    session.commit(PlayerJoined(player_id=player_id, seat=1, name="Bob", colour="#00ff00"))
    await points.tell(session, since=1)
    token = token_for(session.team_id, player_id=player_id)
    async with listen(http, gateway_url, session, token=token) as client, asyncio.timeout(5):
        session.commit(PlayerLeft(player_id=player_id))
        await points.tell(session, since=2)
        assert await client.end() == (4507, "left")
        assert client.seq == 3
    assert await _refusal(http, gateway_url, session.id, token) == (403, "left")


async def test_a_stream_on_which_nothing_happens_is_kept_alive(
    gateway_url: str, points: Points, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.02)
    session = await points.open()
    async with listen(http, gateway_url, session) as client:

        async def next_event() -> None:
            await client.next()

        listening = asyncio.create_task(next_event())

        async def kept_alive() -> bool:
            return client.comments > 3

        await until(kept_alive)
        await points.happen(session)
        await listening


async def test_who_does_not_read_is_freed_and_the_others_are_told_everything(
    new_gateway: Callable[..., str], points: Points, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "STALL_S", 1.0)
    url = new_gateway(send_queue_bytes=4 * BIG)
    session = await points.open()
    before = await metric(http, url, "baton_closes_total", reason="slow_consumer")
    async with listen(http, url, session) as good:
        with _never_reading(url, session):
            await until(lambda: _streams(http, url, 2))
            while await metric(http, url, "baton_closes_total", reason="slow_consumer") == before:
                assert session.seq < 500, "nothing was ever too much"
                for _ in range(5):
                    await points.happen(session, size=BIG)
                await good.reach(session.seq)
            await until(lambda: _streams(http, url, 1))
        await points.happen(session)
        await good.reach(session.seq)
        assert good.state == session.state


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="what the kernel still holds, only Linux bounds")
async def test_who_reads_nothing_of_the_little_there_is_is_freed_too(
    new_gateway: Callable[..., str], points: Points, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "UNACKNOWLEDGED_S", 1.0)
    url = new_gateway()
    session = await points.open()
    with _never_reading(url, session):
        await until(lambda: _streams(http, url, 1))
        await points.happen(session, size=20_000)
        await until(lambda: _streams(http, url, 0))


async def test_a_gateway_that_stops_sends_streams_elsewhere_and_waits_for_nobody_who_does_not_read(
    redis_url: str, points: Points, http: httpx.AsyncClient
) -> None:
    session = await points.open()
    async with gateway(redis_url, http, BATON_DRAIN_S="3") as leaving, gateway(redis_url, http) as staying:
        with _never_reading(leaving.url, session):
            await until(lambda: _streams(http, leaving.url, 1))
            async with listen(http, leaving.url, session) as client:
                for _ in range(30):
                    await points.happen(session, size=BIG)
                    await client.reach(session.seq)
                assert await _streams(http, leaving.url, 2)
                leaving.process.terminate()
                assert await client.end() == (1012, "service_restart")
                assert any(isinstance(frame, Move) for frame in client.others)
            async with asyncio.timeout(PATIENCE_S):
                await leaving.process.wait()
        await points.happen(session)
        async with listen(http, staying.url, session, last_event_id=client.last_event_id) as moved:
            await moved.reach(session.seq)


def _never_reading(url: str, session: Session) -> socket.socket:
    """A client that asks for a stream and then reads nothing, and of which the kernel buffers little."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect(("127.0.0.1", int(url.rpartition(":")[2])))
    headers = "".join(f"{name}: {value}\r\n" for name, value in headers_of(token_for(session.team_id)).items())
    narrow.sendall(f"GET /sse/game/{session.id} HTTP/1.1\r\nHost: baton\r\n{headers}\r\n".encode())
    return narrow


async def _streams(http: httpx.AsyncClient, url: str, count: int) -> bool:
    """Whether so many are open. The gauge of gateways in this process is one for all of them."""
    return await metric(http, url, "baton_connections", transport="sse") == count
