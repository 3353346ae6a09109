from collections.abc import Generator

import pytest
from websockets.frames import Frame as TheirFrame
from websockets.frames import Opcode
from websockets.streams import StreamReader

from services.realtime.frame import Batch, websocket_frame
from tests.unit.realtime.fakes import ephemeral, event, texts


def _as_a_client_reads_it(wire: bytes) -> TheirFrame:
    reader = StreamReader()
    reader.feed_data(wire)
    parsing: Generator[None, None, TheirFrame] = TheirFrame.parse(reader.read_exact, mask=False, max_size=None)
    with pytest.raises(StopIteration) as ended:
        next(parsing)
    frame: TheirFrame = ended.value.value
    reader.feed_eof()
    assert next(reader.at_eof(), None) is None, "there is more than one frame"
    return frame


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20])
def test_every_length_is_written_as_the_standard_says(size: int) -> None:
    text = b"x" * size
    frame = _as_a_client_reads_it(websocket_frame(text))
    assert (frame.opcode, bytes(frame.data), frame.fin) == (Opcode.TEXT, text, True)
    assert (frame.rsv1, frame.rsv2, frame.rsv3) == (False, False, False)


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_it_is_what_another_implementation_writes(size: int) -> None:
    text = "é".encode() * size
    assert websocket_frame(text) == TheirFrame(Opcode.TEXT, text).serialize(mask=False)


def test_a_batch_says_from_where_to_where_its_events_go() -> None:
    one = Batch([event(7)])
    several = Batch([ephemeral("tick"), event(7), event(8), ephemeral("tock"), event(9)])
    without = Batch([ephemeral("tick"), ephemeral("tock")])
    assert [(batch.after, batch.last) for batch in (one, several)] == [(6, 7), (6, 9)]
    assert [batch.after for batch in (without, Batch([ephemeral("tick")]))] == [None, None]


def test_a_batch_is_its_frames_in_one_piece() -> None:
    assert texts(Batch([event(7)]).wire) == ["7"]
    assert texts(Batch([ephemeral("tick"), event(7), event(8)]).wire) == ["tick", "7", "8"]
