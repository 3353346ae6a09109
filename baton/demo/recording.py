"""What one client saw of a session, and whether it was what the protocol promises."""

from dataclasses import dataclass, field

import msgspec

from contracts import frames, replay, rooms
from contracts.frames import NumberedEvent, Snapshot, Tick, Welcome
from contracts.ids import RoomSeq
from contracts.rooms import Player, State, Status

PATIENCE_S = 2.0
"""How long the room may be ahead of a client before the client comes back for what it misses."""


class OutOfStepError(Exception):
    """The client misses events: it is to come back with its `seq`."""


@dataclass(frozen=True, slots=True)
class Received:
    """A numbered event as it arrived. `at` is in seconds by the client's `perf_counter`."""

    seq: RoomSeq
    type: str
    frame: str
    at: float


@dataclass
class Recording:
    """Every numbered event of one client, in the order of arrival, and the state they lead to.

    `faults` are breaks of the protocol, in words. A client that only lost its connection has none.
    """

    seq: RoomSeq | None = None
    epoch: str | None = None
    state: State | None = None
    events: list[Received] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    ticks: int = 0
    clock_ahead_ms: float = 0.0
    """The server's clock less `perf_counter`, as of the last word of the server."""
    _base: tuple[RoomSeq, State] | None = None
    _missing: tuple[RoomSeq, float] | None = None
    """An event that the room has and we have not, and since when that is known."""

    def take(self, frame: str, at: float) -> NumberedEvent | frames.ToClient | None:
        """Note a frame. None where it is not understood. Raises OutOfStepError where the client should come back."""
        try:
            message = frames.decode_frame(frame)
        except msgspec.DecodeError as error:
            self.faults.append(f"a frame that cannot be understood ({error}): {frame[:200]}")
            return None
        if isinstance(message, NumberedEvent):
            self._event(message, frame, at)
        elif isinstance(message, Snapshot):
            self._snapshot(message)
        elif isinstance(message, Tick):
            self.clock_ahead_ms = message.at - at * 1000
            self._tick(message, at)
        elif isinstance(message, Welcome):
            self._welcome(message, at)
        elif isinstance(message, frames.Error):
            self.faults.append(f"the gateway understood a frame of ours as {message.code}: {message.message}")
        return message

    def replayed(self, seq: RoomSeq) -> State:
        """The first snapshot and all events up to `seq`, decoded anew. Raises ReplayError where they stop before."""
        if self._base is None:
            raise replay.ReplayError("no snapshot was ever received")
        last, state = self._base
        for event in map(frames.decode_event, (received.frame for received in self.events)):
            if last == seq:
                break
            if event.seq != last + 1:
                raise replay.ReplayError(f"in the recording, {event.seq} comes after {last}")
            last, state = event.seq, replay.apply(state, event.data)
        if last != seq:
            raise replay.ReplayError(f"the recording stands at seq {last}, not at {seq}")
        return state

    def _welcome(self, welcome: Welcome, at: float) -> None:
        self.clock_ahead_ms = welcome.now - at * 1000
        self._missing = None
        if self.epoch is not None and welcome.epoch != self.epoch:
            self.faults.append(f"the epoch changed from {self.epoch} to {welcome.epoch}")
        self.epoch = welcome.epoch

    def _snapshot(self, snapshot: Snapshot) -> None:
        state = rooms.decode_state(snapshot.state)
        if self.seq is None:
            self._base, self.state, self.seq = (snapshot.seq, state), state, snapshot.seq
        elif snapshot.seq != self.seq:
            self.faults.append(f"sequence: after {self.seq} came a snapshot of {snapshot.seq}, not the events between")
            self.events.clear()
            self._base, self.state, self.seq = (snapshot.seq, state), state, snapshot.seq
        elif self.state is not None and (where := first_difference(self.state, state)):
            self.faults.append(f"a second snapshot of {snapshot.seq} differs from the events up to it: {where}")

    def _event(self, event: NumberedEvent, frame: str, at: float) -> None:
        if self.seq is None:
            self.faults.append(f"sequence: event {event.seq} came before any snapshot")
            raise OutOfStepError
        if event.seq <= self.seq:
            self.faults.append(f"sequence: event {event.seq} ({event.type}) came after {self.seq}")
            return
        if event.seq > self.seq + 1:
            self.faults.append(f"sequence: after {self.seq} came {event.seq} ({event.type})")
            raise OutOfStepError
        try:
            self.state = replay.apply(self.state, event.data)
        except replay.ReplayError as error:
            self.faults.append(f"event {event.seq} ({event.type}) cannot be applied: {error}")
        self.seq = event.seq
        self.events.append(Received(event.seq, event.type, frame, at))

    def _tick(self, tick: Tick, at: float) -> None:
        self.ticks += 1
        if self.seq is None or self.state is None:
            return
        if self._missing is not None and self._missing[0] <= self.seq:
            self._missing = None
        if self._missing is None and tick.seq > self.seq:
            self._missing = tick.seq, at
        if self._missing is not None and at - self._missing[1] > PATIENCE_S:
            self._missing = None
            raise OutOfStepError
        if tick.seq == self.seq and self.state.status is Status.ACTIVE:
            for player in self.state.players:
                expected = points_at(self.state, player, tick.at)
                if (told := tick.points.get(player.player_id, 0)) != expected:
                    self.faults.append(
                        f"the tick at {tick.at} (seq {tick.seq}) gives {player.name} {told}, the events give {expected}"
                    )


def points_at(state: State, player: Player, at: float) -> int:
    """A player's points at an instant of the server's clock, in milliseconds."""
    if state.started_at is None:
        return state.rules.start_points
    if player.zero_at is not None and at >= player.zero_at:
        return 0
    lost = state.rules.decay * int((at - state.started_at) // state.rules.interval_ms)
    return max(0, player.base - max(0, lost))


def first_difference(expected: object, actual: object, where: str = "state") -> str | None:
    """The first place where two states differ, in words; None where they are equal."""
    if isinstance(expected, msgspec.Struct):
        return first_difference(msgspec.to_builtins(expected), msgspec.to_builtins(actual), where)
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key in [*expected, *(key for key in actual if key not in expected)]:
            if found := first_difference(expected.get(key), actual.get(key), f"{where}.{key}"):
                return found
        return None
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = enumerate(zip(expected, actual, strict=True))
        return next((d for i, (a, b) in pairs if (d := first_difference(a, b, f"{where}[{i}]"))), None)
    return None if expected == actual else f"{where} is {actual!r}, not {expected!r}"
