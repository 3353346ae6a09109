"""What clients say. Every frame is bounded in size and checked; who sends too many broken ones is closed."""

from typing import Protocol

import msgspec

from contracts.frames import Error, Join, Ping, Pong, decode_from_client, encode
from services.kit.clock import local_ms
from services.realtime.close_codes import Close, Refused
from services.realtime.frame import Frame

BAD_FRAMES = 5
MAX_SEQ = 2**53
"""The largest number that every client's language can count to without an error."""


class Answers(Protocol):
    """Where answers go."""

    def send(self, frame: Frame) -> None: ...


class Inbound:
    """The frames of one client, one after the other."""

    def __init__(self, answers: Answers, max_frame_bytes: int) -> None:
        self._answers = answers
        self._max_frame_bytes = max_frame_bytes
        self._bad_frames = 0

    def join(self, data: bytes) -> Join:
        """The first frame. Raises Refused where it is anything but a join."""
        match self._decode(data):
            case Join(seq=seq) as join if seq is None or 0 <= seq <= MAX_SEQ:
                return join
            case Join():
                self._say_error("`seq` is out of range")
            case Ping():
                self._say_error("the first frame must be a join")
            case None:
                pass
        raise Refused(Close.BAD_FRAMES)

    def handle(self, data: bytes) -> None:
        """Any later frame. Raises Refused when it is one too many."""
        match self._decode(data):
            case Ping(id=number):
                self._answers.send(Frame(encode(Pong(id=number, now=local_ms()))))
                return
            case Join():
                self._say_error("this connection has joined already")
            case None:
                pass
        self._bad_frames += 1
        if self._bad_frames >= BAD_FRAMES:
            raise Refused(Close.BAD_FRAMES)

    def _decode(self, data: bytes) -> Join | Ping | None:
        """The frame, or None where it was broken, which the client has been told."""
        if len(data) > self._max_frame_bytes:
            raise Refused(Close.TOO_LARGE)
        try:
            frame: Join | Ping = decode_from_client(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._say_error(str(error))
            return None
        return frame

    def _say_error(self, message: str) -> None:
        self._answers.send(Frame(encode(Error(code="bad_frame", message=message))))
