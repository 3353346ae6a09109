import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from services.realtime.whole_frames import BINARY, PING, PONG, TEXT, whole_frames
from tests.integration.realtime.raw import masked

MOST = 4096


def test_frames_that_came_together_are_all_read() -> None:
    data = masked(TEXT & 0x0F, b"one") + masked(PONG & 0x0F, b"") + masked(BINARY & 0x0F, b"x" * 300)
    assert whole_frames(data, MOST) == [(TEXT, b"one"), (PONG, b""), (BINARY, b"x" * 300)]
    assert whole_frames(b"", MOST) == []


def test_a_beginning_or_an_end_alone_is_none() -> None:
    data = masked(PING & 0x0F, b"four") + masked(TEXT & 0x0F, b"y" * 200)
    at_boundaries = [at for at in range(len(data) + 1) if whole_frames(data[:at], MOST) is not None]
    assert at_boundaries == [0, 10, len(data)]


@pytest.mark.parametrize(
    "data",
    [
        b"\x81\x02hi",
        b"\x01" + masked(TEXT & 0x0F, b"part")[1:],
        b"\x80" + masked(TEXT & 0x0F, b"rest")[1:],
        b"\xc1" + masked(TEXT & 0x0F, b"reserved bit")[1:],
        b"\x83" + masked(TEXT & 0x0F, b"unknown kind")[1:],
        masked(0x08, b"\x03\xe8"),
        b"\x89\xfe\x00\x7e" + bytes(4 + 126),
        b"\x81\xfe\x00\x05" + bytes(4 + 5),
        b"\x81\xff" + struct.pack("!Q", 5) + bytes(4 + 5),
        masked(TEXT & 0x0F, b"z" * (MOST + 1)),
    ],
    ids=["unmasked", "fragment", "continuation", "reserved", "unknown", "close", "long ping", "longer than need be",
         "64 bits", "too large"],
)  # fmt: skip
def test_what_is_not_plain_is_left_to_the_parser(data: bytes) -> None:
    assert whole_frames(data, MOST) is None
    assert whole_frames(masked(TEXT & 0x0F, b"before") + data, MOST) is None


@given(st.binary(max_size=40), st.lists(st.tuples(st.sampled_from([TEXT, BINARY, PING, PONG]), st.binary(max_size=60))))
def test_what_is_read_is_what_the_parser_reads(noise: bytes, plain: list[tuple[int, bytes]]) -> None:
    data = b"".join(masked(first & 0x0F, payload) for first, payload in plain) + noise
    frames = whole_frames(data, MOST)
    if frames is None:
        assert noise
        return
    parser = ServerProtocol(state=State.OPEN, max_size=MOST)
    parser.receive_data(data)
    heard = [event for event in parser.events_received() if isinstance(event, Frame)]
    assert [(0x80 | event.opcode, bytes(event.data)) for event in heard if event.opcode != Opcode.CLOSE] == frames
