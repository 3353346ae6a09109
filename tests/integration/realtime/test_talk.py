"""What players say to each other, over two real gateways."""

import json
from collections.abc import Callable
from uuid import uuid4

import httpx
import pytest

from contracts.frames import Error, FromClient, Ping, Pong
from contracts.ids import PlayerId, PuzzleId
from contracts.rooms import PlayerJoined
from contracts.talk import (
    Chat,
    Cursor,
    Emote,
    Interaction,
    SendChat,
    SendCursor,
    SendEmote,
    SendInteraction,
)
from services.kit.tokens import Role
from tests.integration.realtime.clients import join, token_for
from tests.integration.realtime.metrics import metric
from tests.integration.realtime.points import Points, Session

PUZZLE_ID = PuzzleId(uuid4())


@pytest.fixture
async def session(points: Points) -> Session:
    """A session with a second player, who is Ben."""
    session = await points.open()
    session.commit(PlayerJoined(player_id=PlayerId(uuid4()), seat=1, name="Ben", colour="#17bebb"))
    await points.tell(session, since=session.seq - 1)
    return session


def token(session: Session, seat: int) -> str:
    return token_for(session.team_id, player_id=session.state.players[seat].player_id)


async def test_what_one_says_everybody_hears_wherever_they_are(
    gateway_url: str, new_gateway: Callable[..., str], points: Points, session: Session
) -> None:
    other_url = new_gateway()
    ada = session.state.players[0].player_id
    async with (
        join(gateway_url, session, token=token(session, 0)) as first,
        join(other_url, session, token=token(session, 1)) as second,
        join(other_url, session) as watching,
    ):
        await first.say(SendChat(text=" Grüße 👋 "))
        await first.say(SendCursor(x=0.25, y=1))
        await first.say(SendInteraction(action="turn", puzzle_id=PUZZLE_ID, detail={"card": 3}))
        await first.say(SendEmote(emote="wave"))
        for client in (first, second, watching):
            chat = await client.hear(Chat)
            assert (chat.player_id, chat.text) == (ada, "Grüße 👋")
            assert abs(chat.at - client.welcome.now) < 10_000
            cursor = await client.hear(Cursor)
            assert (cursor.player_id, cursor.x, cursor.y) == (ada, 0.25, 1)
            interaction = await client.hear(Interaction)
            assert (interaction.player_id, interaction.action) == (ada, "turn")
            assert (interaction.puzzle_id, interaction.detail) == (PUZZLE_ID, {"card": 3})
            emote = await client.hear(Emote)
            assert (emote.player_id, emote.emote) == (ada, "wave")
        await points.happen(session)
        for client in (first, second, watching):
            await client.reach(session.seq)
            assert client.state == session.state


@pytest.mark.parametrize("role", [Role.SPECTATOR, Role.HOST])
async def test_whoever_is_no_player_is_told_so_and_not_heard(gateway_url: str, session: Session, role: Role) -> None:
    said: list[FromClient] = [
        SendChat(text="psst"),
        SendCursor(x=0, y=0),
        SendInteraction(action="turn"),
        SendEmote(emote="wave"),
    ]
    async with (
        join(gateway_url, session, token=token(session, 0)) as player,
        join(gateway_url, session, token=token_for(session.team_id, role=role)) as client,
    ):
        for frame in said:
            await client.say(frame)
            assert (await client.hear(Error)).code == "players_only"
        await player.say(SendEmote(emote="wave"))
        await client.hear(Emote)
        heard = [frame for frame in client.others if isinstance(frame, Chat | Cursor | Interaction | Emote)]
        assert len(heard) == 1


async def test_what_is_too_much_is_not_said_to_anybody(
    gateway_url: str, session: Session, http: httpx.AsyncClient
) -> None:
    before = await metric(http, gateway_url, "baton_rate_limited_total", kind="chat")
    async with (
        join(gateway_url, session, token=token(session, 0)) as client,
        join(gateway_url, session, token=token(session, 1)) as mate,
    ):
        for number in range(20):
            await client.say(SendChat(text=str(number)))
        assert (await client.hear(Error)).code == "rate_limited"
        await client.say(Ping(id=1))
        await client.hear(Pong)
        await client.say(SendEmote(emote="done"))
        await mate.hear(Emote)
        heard = [frame.text for frame in mate.others if isinstance(frame, Chat)]
        assert heard[:5] == ["0", "1", "2", "3", "4"]
        assert len(heard) < 10
    too_much = await metric(http, gateway_url, "baton_rate_limited_total", kind="chat") - before
    assert too_much == 20 - len(heard)


async def test_a_flood_is_closed_and_hurts_nobody_else(gateway_url: str, points: Points, session: Session) -> None:
    frame = json.dumps({"type": "cursor", "x": 0, "y": 0})
    async with (
        join(gateway_url, session, token=token(session, 0)) as client,
        join(gateway_url, session, token=token(session, 1)) as mate,
    ):
        for _ in range(2000):
            await client.say(frame)
        assert await client.closed() == (4509, "rate_limited")
        complaints = [frame for frame in client.others if isinstance(frame, Error)]
        assert 1 <= len(complaints) <= 5
        await points.happen(session)
        await mate.reach(session.seq)
        assert mate.state == session.state
