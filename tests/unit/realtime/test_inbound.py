import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.frames import Error, Join, Pong, decode_to_client
from contracts.ids import RoomSeq
from services.realtime.close_codes import Close, Refused
from services.realtime.frame import Frame
from services.realtime.inbound import MAX_SEQ, Inbound


class Said:
    """Keeps the answers."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def send(self, frame: Frame) -> None:
        self.frames.append(frame)

    @property
    def last(self) -> object:
        return decode_to_client(self.frames[-1].body)


def test_a_join_is_understood() -> None:
    inbound = Inbound(Said(), 4096)
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
        b'{"type": "join", "token": 1}',
        b'{"type": "join", "seq": -1}',
        b'{"type": "join", "seq": 9007199254740993}',
        b'{"type": "join", "seq": 1.5}',
        b'{"token": "t"}',
        b"\xff",
        b"[" * 4096,
    ],
)
def test_any_other_first_frame_is_told_so_once_and_refused(first: bytes) -> None:
    said = Said()
    with pytest.raises(Refused) as caught:
        Inbound(said, 4096).join(first)
    assert caught.value.close is Close.BAD_FRAMES
    assert isinstance(said.last, Error)
    assert len(said.frames) == 1


def test_an_error_does_not_repeat_the_token() -> None:
    said = Said()
    with pytest.raises(Refused):
        Inbound(said, 4096).join(b'{"type": "join", "token": "secret", "seq": -1}')
    assert b"secret" not in said.frames[0].body


def test_pings_are_answered_for_ever() -> None:
    said = Said()
    inbound = Inbound(said, 4096)
    for number in range(100):
        inbound.handle(b'{"type": "ping", "id": %d}' % number)
        assert isinstance(said.last, Pong)
        assert said.last.id == number


def test_the_fifth_broken_frame_is_one_too_many_also_with_good_ones_between() -> None:
    said = Said()
    inbound = Inbound(said, 4096)
    for _ in range(4):
        inbound.handle(b"{")
        inbound.handle(b'{"type": "ping"}')
    with pytest.raises(Refused) as caught:
        inbound.handle(b'{"type": "join", "token": "again"}')
    assert caught.value.close is Close.BAD_FRAMES
    assert len(said.frames) == 9


def test_the_limit_counts_bytes() -> None:
    inbound = Inbound(Said(), 2048)
    inbound.handle(('{"type": "ping", "x": "' + "é" * 1000 + '"}').encode())
    with pytest.raises(Refused) as caught:
        inbound.handle(('{"type": "ping", "x": "' + "é" * 1020 + '"}').encode())
    assert caught.value.close is Close.TOO_LARGE


@given(st.lists(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)), max_size=10))
def test_whatever_is_said_is_answered_or_refused(frames: list[bytes]) -> None:
    said = Said()
    inbound = Inbound(said, 4096)
    for number, frame in enumerate(frames, start=1):
        try:
            inbound.handle(frame)
        except Refused:
            assert number == 5
            break
        assert len(said.frames) == number
