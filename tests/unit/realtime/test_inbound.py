"""What a client says is done."""

import json
from uuid import UUID, uuid4

import pytest

from contracts.frames import Join, Pong, Refresh, Refreshed, encode
from contracts.ids import PlayerId, RoomSeq, TeamId
from contracts.talk import MAX_TEXT, Chat, Cursor, Emote, Interaction
from services.kit.tokens import DEVELOPMENT_PRIVATE_KEY, Role, Signer
from services.realtime.close_codes import Close, Refused
from services.realtime.inbound import MAX_SEQ, RATES
from tests.unit.realtime.said import PLAYER_ID, PUZZLE_ID, SAID, SESSION_ID, TEAM_ID, TOKEN, VERIFIER, World


def test_a_join_is_understood() -> None:
    inbound = World(None).inbound
    assert inbound.join(b'{"type": "join", "token": "t"}') == Join(token="t")
    assert inbound.join(b'{"type": "join", "seq": 4, "epoch": "e", "more": 1}') == Join(seq=RoomSeq(4), epoch="e")
    assert inbound.join(b'{"type": "join", "seq": %d}' % MAX_SEQ).seq == MAX_SEQ


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"{",
        b"[]",
        b'"join"',
        b'{"type": "ping"}',
        *SAID.values(),
        b'{"type": "join", "token": 1}',
        b'{"type": "join", "seq": -1}',
        b'{"type": "join", "seq": 9007199254740993}',
        b'{"type": "join", "seq": 1.5}',
        b'{"token": "t"}',
        b"\xff",
        b'{"type": "join", "token": "\xff"}',
        b"[" * 4096,
    ],
)
def test_any_other_first_frame_is_told_so_once_and_refused(first: bytes) -> None:
    world = World(None)
    with pytest.raises(Refused) as caught:
        world.inbound.join(first)
    assert caught.value.close is Close.BAD_FRAMES
    assert world.codes == ["bad_frame"]


def test_an_error_does_not_repeat_the_token() -> None:
    world = World(None)
    with pytest.raises(Refused):
        world.inbound.join(b'{"type": "join", "token": "secret", "seq": -1}')
    assert b"secret" not in world.frames[0].body


def test_a_ping_is_answered_with_the_measured_round_trip_if_there_is_one() -> None:
    world = World()
    world.say(b'{"type": "ping", "id": 1}')
    world.last_ping_rtt = 0.0234
    world.say(b'{"type": "ping", "id": 2}')
    first, second = world.answers
    assert isinstance(first, Pong)
    assert isinstance(second, Pong)
    assert (first.id, first.rtt_ms, second.id, second.rtt_ms) == (1, None, 2, 23)
    assert abs(first.now - second.now) < 10_000


def test_pings_within_the_rate_are_answered_for_ever() -> None:
    world = World()
    for number in range(1000):
        world.now += 0.2
        world.say(b'{"type": "ping", "id": %d}' % number)
    assert [pong.id for pong in world.answers if isinstance(pong, Pong)] == list(range(1000))


def test_what_a_player_says_is_published_under_the_name_that_the_server_knows() -> None:
    world = World()
    for frame in SAID.values():
        claimed = json.loads(frame) | {"player_id": str(uuid4()), "at": 1}
        world.say(json.dumps(claimed).encode())
    cursor, interaction, chat, emote = world.published
    assert isinstance(cursor, Cursor)
    assert (cursor.x, cursor.y) == (0.25, 1)
    assert isinstance(interaction, Interaction)
    assert (interaction.action, interaction.puzzle_id, interaction.detail) == ("turn", None, {"card": 3})
    assert isinstance(chat, Chat)
    assert chat.text == "hello"
    assert isinstance(emote, Emote)
    assert emote.emote == "wave"
    assert {said.player_id for said in (cursor, interaction, chat, emote)} == {PLAYER_ID}
    assert all(said.at > 1_700_000_000_000 for said in (cursor, interaction, chat, emote))
    assert world.frames == []


def test_an_answer_is_handed_on_as_it_stands() -> None:
    world = World()
    world.say(SAID["answer"])
    [(token, answer)] = world.given
    assert (token, answer.id, answer.puzzle_id, answer.idempotency_key) == (TOKEN, 3, PUZZLE_ID, None)
    assert bytes(answer.answer) == b'{"colour": "red"}'


def _token(
    role: Role = Role.PLAYER, player_id: PlayerId = PLAYER_ID, team_id: TeamId = TEAM_ID, life_s: int = 86_400
) -> str:
    return Signer(DEVELOPMENT_PRIVATE_KEY, life_s).sign(player_id, team_id, role)


def _refresh(token: str) -> bytes:
    return encode(Refresh(token=token))


@pytest.mark.parametrize("role", list(Role))
def test_a_newer_token_of_the_same_person_takes_the_place_of_the_present_one(role: Role) -> None:
    world = World(role)
    newer = _token(role)
    world.say(_refresh(newer))
    [refreshed] = world.answers
    speaker = world.inbound.speaker
    assert isinstance(refreshed, Refreshed)
    assert speaker is not None
    assert (speaker.session_id, speaker.identity) == (SESSION_ID, VERIFIER.verify(newer))
    assert refreshed.expires_at == speaker.identity.expires_at * 1000
    assert speaker.token == (newer if role is Role.PLAYER else "")


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (_token(player_id=PlayerId(UUID(int=1))), "forbidden"),
        (_token(team_id=TeamId(UUID(int=1))), "forbidden"),
        (_token(Role.HOST), "forbidden"),
        (_token(life_s=-60), "expired_token"),
        ("nonsense", "invalid_token"),
        ("", "invalid_token"),
    ],
)
def test_any_other_token_changes_nothing(token: str, code: str) -> None:
    world = World()
    before = world.inbound.speaker
    world.say(_refresh(token), SAID["answer"])
    assert world.codes == [code]
    assert world.inbound.speaker is before
    assert [given[0] for given in world.given] == [TOKEN]


def test_tokens_are_not_checked_beyond_the_rate() -> None:
    world = World()
    world.say(*[_refresh("nonsense")] * 20)
    assert world.codes == ["invalid_token"] * int(RATES[Refresh].burst) + ["rate_limited"]


@pytest.mark.parametrize("role", [Role.SPECTATOR, Role.HOST])
@pytest.mark.parametrize("kind", SAID)
def test_whoever_is_no_player_can_only_look_and_ping(role: Role, kind: str) -> None:
    world = World(role)
    world.say(SAID[kind], b'{"type": "ping"}')
    assert world.codes == ["players_only"]
    assert isinstance(world.answers[-1], Pong)
    assert (world.published, world.given) == ([], [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\u3000",
        "two\nlines",
        "two\u2028lines",
        "a\tb",
        "a\x00b",
        "a\x7fb",
        "a\x85b",
        "a\u202eb",
        "a\u2066b",
        "x" * (MAX_TEXT + 1),
    ],
)
def test_a_text_that_is_no_line_is_refused_and_is_no_broken_frame(text: str) -> None:
    world = World()
    for _ in range(10):
        world.now += 1
        world.say(json.dumps({"type": "chat", "text": text}).encode())
    assert world.codes == ["invalid_text"] * 10
    assert world.published == []


@pytest.mark.parametrize("text", ["x", "x" * MAX_TEXT, "👩‍👩‍👧 Grüße", "مرحبا", "  padded  ", '"<b>\\&'])
def test_a_text_in_one_line_is_taken_as_it_is(text: str) -> None:
    world = World()
    world.say(json.dumps({"type": "chat", "text": text}).encode())
    [chat] = world.published
    assert isinstance(chat, Chat)
    assert chat.text == text.strip()
