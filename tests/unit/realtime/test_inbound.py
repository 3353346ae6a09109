import json
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import frames, talk
from contracts.frames import (
    Answer,
    Answered,
    Error,
    Join,
    Pong,
    Refresh,
    Refreshed,
    ToClient,
    decode_to_client,
    encode,
)
from contracts.ids import PlayerId, RoomSeq, SessionId, TeamId
from contracts.talk import MAX_TEXT, Chat, Cursor, Emote, Interaction
from services.kit.tokens import DEVELOPMENT_PRIVATE_KEY, Identity, Role, Signer, Verifier, public_key_of
from services.realtime.answers import Reply
from services.realtime.close_codes import Close, Refused
from services.realtime.frame import Frame
from services.realtime.inbound import EXCESS, MAX_SEQ, RATES, Inbound, Outlets, Speaker

PLAYER_ID = PlayerId(UUID(int=7))
SESSION_ID = SessionId(UUID(int=8))
PUZZLE_ID = UUID(int=9)
TEAM_ID = TeamId(UUID(int=10))
TOKEN = "a token"
VERIFIER = Verifier([public_key_of(DEVELOPMENT_PRIVATE_KEY)])
SAID: dict[str, bytes] = {
    "cursor": b'{"type": "cursor", "x": 0.25, "y": 1}',
    "interaction": b'{"type": "interaction", "action": "turn", "detail": {"card": 3}}',
    "chat": b'{"type": "chat", "text": "hello"}',
    "emote": b'{"type": "emote", "emote": "wave"}',
    "answer": b'{"type": "answer", "id": 3, "puzzle_id": "%b", "answer": {"colour": "red"}}' % str(PUZZLE_ID).encode(),
}


class World:
    """A client, and what became of what it said."""

    def __init__(self, role: Role | None = Role.PLAYER, max_frame_bytes: int = 4096) -> None:
        self.frames: list[Frame] = []
        self.published: list[ToClient] = []
        self.given: list[tuple[str, Answer]] = []
        self.now = 100.0
        self.last_ping_rtt = 0.0
        self.inbound = Inbound(self, self, Outlets(self, self, VERIFIER, max_frame_bytes, lambda: self.now))
        if role is not None:
            identity = Identity(subject=PLAYER_ID, team_id=TEAM_ID, role=role, expires_at=0)
            self.inbound.speaker = Speaker(SESSION_ID, identity, TOKEN)

    def send(self, frame: Frame) -> None:
        assert not frame.ephemeral
        assert frame.seq == 0
        self.frames.append(frame)

    def publish(self, session_id: SessionId, frame: bytes) -> None:
        assert session_id == SESSION_ID
        self.published.append(decode_to_client(frame))

    def give(self, token: str, answer: Answer, reply: Reply) -> None:
        self.given.append((token, answer))
        assert reply == self.send

    def say(self, *frames: bytes) -> None:
        for frame in frames:
            self.inbound.handle(frame)

    @property
    def answers(self) -> list[ToClient]:
        """What the client was told."""
        return [decode_to_client(frame.body) for frame in self.frames]

    @property
    def codes(self) -> list[str]:
        """The codes of the errors that the client was told of."""
        return [answer.code for answer in self.answers if isinstance(answer, Error)]


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


@pytest.mark.parametrize(
    "broken",
    [
        b'{"type": "cursor", "x": 0}',
        b'{"type": "cursor", "x": NaN, "y": 0}',
        b'{"type": "cursor", "x": Infinity, "y": 0}',
        b'{"type": "cursor", "x": 1e400, "y": 0}',
        b'{"type": "cursor", "x": 1.0001, "y": 0}',
        b'{"type": "cursor", "x": -0.1, "y": 0}',
        b'{"type": "cursor", "x": "0", "y": 0}',
        b'{"type": "emote", "emote": "Wave!"}',
        b'{"type": "emote", "emote": "wave\\n"}',
        b'{"type": "emote", "emote": ""}',
        b'{"type": "chat", "text": "\\ud800"}',
        b'{"type": "chat", "text": "\xff"}',
        b'{"type": "chat", "text": 1}',
        b'{"type": "interaction", "action": "a", "detail": {"nested": {}}}',
        b'{"type": "interaction", "action": "a", "detail": {"long": "%b"}}' % (b"x" * 201),
        b'{"type": "interaction", "action": "a", "detail": {"big": 9007199254740993}}',
        b'{"type": "interaction", "action": "a", "puzzle_id": "b"}',
        b'{"type": "answer", "id": 1, "puzzle_id": "b", "answer": {}}',
        b'{"type": "answer", "id": 1, "puzzle_id": "%b"}' % str(PUZZLE_ID).encode(),
        SAID["answer"].replace(b'"id": 3', b'"id": 3, "idempotency_key": "a key\\r\\nX-Other: 1"'),
        SAID["answer"].replace(b'"id": 3', b'"id": 3, "idempotency_key": "short"'),
        b'{"type": "join", "token": "again"}',
        b'{"type": "welcome"}',
        b'{"type": "presence", "at": 1, "people": []}',
    ],
)
def test_what_cannot_be_understood_is_told_so_and_nobody_else_hears_of_it(broken: bytes) -> None:
    world = World()
    world.say(broken)
    assert world.codes == ["bad_frame"]
    assert (world.published, world.given) == ([], [])


def test_the_fifth_broken_frame_is_one_too_many_also_with_good_ones_between() -> None:
    world = World()
    for _ in range(4):
        world.say(b"{", b'{"type": "ping"}')
    with pytest.raises(Refused) as caught:
        world.say(b'{"type": "join", "token": "again"}')
    assert caught.value.close is Close.BAD_FRAMES
    assert len(world.frames) == 9


def test_the_limit_counts_bytes() -> None:
    world = World(max_frame_bytes=2048)
    world.say(b'{"type": "ping", "x": "' + "é".encode() * 1000 + b'"}')
    with pytest.raises(Refused) as caught:
        world.say(b'{"type": "ping", "x": "' + "é".encode() * 1020 + b'"}')
    assert caught.value.close is Close.TOO_LARGE


@pytest.mark.parametrize("kind", ["cursor", "interaction", "chat", "emote"])
def test_what_is_beyond_the_rate_is_not_published_and_that_is_said_once_a_second(kind: str) -> None:
    rate = {frame.__struct_config__.tag: rate for frame, rate in RATES.items()}[kind]
    world = World()
    world.say(*[SAID[kind]] * 60)
    assert len(world.published) == rate.burst
    assert world.codes == ["rate_limited"]
    world.now += 1.0
    world.say(*[SAID[kind]] * 60)
    assert len(world.published) == rate.burst + rate.per_s
    assert world.codes == ["rate_limited"] * 2


def test_one_kind_beyond_its_rate_leaves_the_others_theirs() -> None:
    world = World()
    world.say(*[SAID["cursor"]] * 60)
    world.say(SAID["chat"], SAID["emote"], SAID["interaction"], SAID["answer"])
    assert [type(said) for said in world.published[-3:]] == [Chat, Emote, Interaction]
    assert len(world.given) == 1


def test_each_answer_beyond_the_rate_is_answered() -> None:
    world = World()
    world.say(*[SAID["answer"]] * 30)
    assert len(world.given) == RATES[Answer].burst
    assert len(world.answers) == 30 - RATES[Answer].burst
    for answered in world.answers:
        assert isinstance(answered, Answered)
        assert (answered.id, answered.status) == (3, 429)
        assert json.loads(bytes(answered.body))["code"] == "rate_limited"


def test_who_goes_far_over_is_closed() -> None:
    world = World()
    most = int(RATES[talk.SendCursor].burst + EXCESS.burst)
    world.say(*[SAID["cursor"]] * most)
    with pytest.raises(Refused) as caught:
        world.say(SAID["cursor"])
    assert caught.value.close is Close.RATE_LIMITED
    assert not caught.value.close.come_back


def test_a_client_that_draws_every_frame_of_a_screen_is_not_closed() -> None:
    world = World()
    for _ in range(60 * 120):
        world.now += 1 / 120
        world.say(SAID["cursor"])
    assert len(world.published) >= 60 * 20


FRAMES = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(str.encode),
    st.sampled_from([*SAID.values(), b'{"type": "ping"}']),
    st.sampled_from(["ping", "join", "refresh", "answer", "cursor", "interaction", "chat", "emote"]).flatmap(
        lambda kind: st.dictionaries(
            st.sampled_from(["id", "x", "y", "text", "emote", "action", "detail", "puzzle_id", "answer", "token"]),
            st.recursive(
                st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just("wave")),
                lambda inner: st.dictionaries(st.text(max_size=5), inner, max_size=3) | st.lists(inner, max_size=3),
                max_leaves=5,
            ),
            max_size=6,
        ).map(lambda fields: json.dumps({"type": kind} | fields).encode())
    ),
)


def is_refused(world: World, frame: bytes) -> bool:
    try:
        world.say(frame)
    except Refused:
        return True
    return False


@given(st.lists(FRAMES, max_size=12), st.sampled_from(Role))
def test_whatever_is_said_is_done_or_answered_or_refused(said: list[bytes], role: Role) -> None:
    world = World(role)
    for number, frame in enumerate(said, start=1):
        world.now += 1
        refused = is_refused(world, frame)
        assert len(world.frames) + len(world.published) + len(world.given) == number
        assert refused == (world.codes.count("bad_frame") == 5)
        if refused:
            break
    assert role is Role.PLAYER or not world.published


@given(st.lists(FRAMES, max_size=12))
def test_whatever_is_published_can_be_sent_as_text_and_read_by_any_client(said: list[bytes]) -> None:
    class Strict(World):
        def publish(self, session_id: SessionId, frame: bytes) -> None:
            json.loads(frame.decode(), parse_constant=pytest.fail)
            assert frames.encode(decode_to_client(frame)) == frame
            super().publish(session_id, frame)

    world = Strict()
    for frame in said:
        if is_refused(world, frame):
            break
