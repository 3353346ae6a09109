"""What clients nearly always send: whole, small, unfragmented frames, read in one step. RFC 6455, section 5.2.

Everything else is left to websockets' parser, which takes several times as long.
"""

from collections.abc import Callable
from typing import Final

from websockets import utils

try:
    from websockets.speedups import apply_mask as _in_c
except ImportError:  # where it could not be compiled
    _unmask: Callable[[bytes, bytes], bytes] = utils.apply_mask
else:
    _unmask = _in_c

TEXT: Final = 0x81
BINARY: Final = 0x82
PING: Final = 0x89
PONG: Final = 0x8A
_FIRST_BYTES: Final = frozenset((TEXT, BINARY, PING, PONG))
_CONTROL: Final = 0x08
_MASKED: Final = 0x80


def whole_frames(data: bytes, most_bytes: int) -> list[tuple[int, bytes]] | None:
    """The frames, by their first byte and payload, of which `data` consists.

    None where it does not begin and end with a frame, or has one that is fragmented, unmasked, over `most_bytes` or of
    another kind, or that breaks a rule: nothing is said of the others then either.
    """
    frames = []
    at, end = 0, len(data)
    while at < end:
        if end - at < 6:
            return None
        first, size = data[at], data[at + 1] - _MASKED
        at += 2
        if size == 126 and not first & _CONTROL:
            size = int.from_bytes(data[at : at + 2], "big")
            at += 2
            if size < 126:
                return None
        elif not 0 <= size < 126:
            return None
        begin = at + 4
        if first not in _FIRST_BYTES or size > most_bytes or begin + size > end:
            return None
        frames.append((first, _unmask(data[begin : begin + size], data[at:begin])))
        at = begin + size
    return frames
