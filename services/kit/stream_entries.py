"""④ Entries of a stream as a consumer has them in its hands."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from contracts.ids import EventId, SessionId

RawEntry: TypeAlias = tuple[bytes, dict[bytes, bytes] | None]
"""As Valkey gives it: the id, and the fields unless it was deleted."""


class _Head(msgspec.Struct):
    event_id: EventId | None = None
    session_id: SessionId | None = None
    version: int = 0


_decode_head = msgspec.json.Decoder(_Head).decode


@dataclass(slots=True)
class Entry:
    """A stream entry in the hands of this consumer. `key` names its event over re-sends."""

    id: bytes
    payload: bytes
    head: _Head
    since: float
    has_failed: bool = False

    @property
    def key(self) -> str:
        return str(self.head.event_id or self.id.decode())

    @property
    def position(self) -> tuple[int, int, int]:
        """By version, so that a heap out of order takes one round, and then by place in the stream."""
        milliseconds, _, number = self.id.partition(b"-")
        return self.head.version, int(milliseconds), int(number)


def entries_of(raw: Iterable[RawEntry]) -> list[Entry]:
    """The entries, as of now."""
    now = asyncio.get_running_loop().time()
    entries = []
    for entry_id, fields in raw:
        payload = (fields or {}).get(b"e", b"")
        try:
            head = _decode_head(payload)
        except msgspec.MsgspecError:
            head = _Head()  # whoever applies it refuses it, and it ends as a dead letter
        entries.append(Entry(entry_id, payload, head, now))
    return entries
