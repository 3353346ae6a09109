"""⑨ The rooms that are open in this process. What they hear in one reading is written together.

The hub knows no broker: its rooms are given what was heard, by whomever.
"""

from collections.abc import Callable, Iterator

import structlog

from contracts.ids import SessionId
from services.kit import metrics
from services.realtime.room import Room

log = structlog.get_logger()


class Hub:
    """The open rooms. `on_gap` is called for a room that knows of events which it did not hear; `call_soon` is the
    event loop's: it runs a function when whoever is running now is done.

    Who has several messages for rooms calls `hold` before the first and `flush` after the last.
    """

    def __init__(self, on_gap: Callable[[Room], None], call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._on_gap = on_gap
        self._call_soon = call_soon
        self._rooms: dict[SessionId, Room] = {}
        self._dirty: list[Room] = []
        self._holding = False
        self._deliveries = 0
        self._empty_since: dict[SessionId, float] = {}

    def __iter__(self) -> Iterator[Room]:
        return iter(list(self._rooms.values()))

    def room(self, session_id: SessionId) -> Room:
        """The session's room, opened if it is not. It stays open while somebody is in it or joins it."""
        room = self._rooms.get(session_id)
        if room is None:
            room = self._rooms[session_id] = Room(session_id, self._on_gap, self._note_dirty)
            metrics.rooms_open.inc()
        return room

    def age(self, now: float, linger_s: float) -> list[Room]:
        """To be called again and again: close the rooms that were empty at every call during the last `linger_s`.

        Returns these. What was delivered is counted here as well, rather than where every message passes.
        """
        empty = [room.session_id for room in self._rooms.values() if room.age()]
        since = {session_id: self._empty_since.get(session_id, now) for session_id in empty}
        closed = [self._rooms.pop(session_id) for session_id, then in since.items() if now - then >= linger_s]
        for room in closed:
            del since[room.session_id]
        self._empty_since = since
        metrics.rooms_open.dec(len(closed))
        metrics.deliveries.inc(self._deliveries)
        self._deliveries = 0
        return closed

    def hold(self) -> None:
        """Write nothing until the next `flush`, which has to come within this turn of the loop."""
        self._holding = True

    def flush(self) -> None:
        """Write what the rooms have heard."""
        self._holding = False
        rooms, self._dirty = self._dirty, []
        for room in rooms:
            try:
                self._deliveries += room.flush()
            except Exception:
                # One room's trouble must not make the others wait; its members' sequences tell them what they miss.
                log.exception("room_not_flushed", session_id=str(room.session_id))

    def _note_dirty(self, room: Room) -> None:
        if not self._dirty and not self._holding:
            self._call_soon(self.flush)
        self._dirty.append(room)
