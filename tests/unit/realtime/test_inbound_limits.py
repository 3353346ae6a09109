"""What a client says is refused where it is broken, too large or too much."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import frames, talk
from contracts.frames import Answer, Answered, decode_to_client
from contracts.ids import SessionId
from contracts.talk import Chat, Emote, Interaction
from services.kit.tokens import Role
from services.realtime.close_codes import Close, Refused
from services.realtime.inbound import EXCESS, RATES
from tests.unit.realtime.said import PUZZLE_ID, SAID, World


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
