"""⑨ A message as it is written to sockets: framed once, shared by everybody who gets it. RFC 6455, section 5.2."""

from collections.abc import Sequence
from typing import Final

from contracts.ids import RoomSeq

_SHORT_HEADS: Final = [bytes((0x81, size)) for size in range(126)]
_HEAD_OF_2_BYTES: Final = b"\x81\x7e"
_HEAD_OF_8_BYTES: Final = b"\x81\x7f"


def websocket_frame(text: bytes) -> bytes:
    """One unmasked text frame, as a server sends it. `text` is UTF-8."""
    size = len(text)
    if size < 126:
        return _SHORT_HEADS[size] + text
    if size < 1 << 16:
        return _HEAD_OF_2_BYTES + size.to_bytes(2, "big") + text
    return _HEAD_OF_8_BYTES + size.to_bytes(8, "big") + text


class Frame:
    """`body` is the JSON text, `wire` the same as a WebSocket frame. `seq` is 0 for what has no number."""

    __slots__ = ("body", "ephemeral", "seq", "wire")

    def __init__(self, body: bytes, seq: RoomSeq = RoomSeq(0), *, ephemeral: bool = False) -> None:  # noqa: B008
        self.body = body
        self.seq = seq
        self.ephemeral = ephemeral
        self.wire = websocket_frame(body)


class Batch:
    """Frames of a room that were heard together, and are written together.

    Its events follow each other: the first of them comes `after` that number, `last` is the number of the last.
    `after` is None where it has no events.
    """

    __slots__ = ("after", "frames", "last", "wire")

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.frames = frames
        if len(frames) == 1:
            [frame] = frames
            self.after: int | None = frame.seq - 1 if frame.seq else None
            self.last = frame.seq
            self.wire = frame.wire
        else:
            numbers = [frame.seq for frame in frames if frame.seq]
            self.after = numbers[0] - 1 if numbers else None
            self.last = numbers[-1] if numbers else RoomSeq(0)
            self.wire = b"".join([frame.wire for frame in frames])
