"""The law of the protocol: old state + numbered events = new state. Clients in any language do the same."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from contracts import rooms
from contracts.ids import PlayerId
from contracts.rooms import Player, State, Status


class ReplayError(Exception):
    """The log does not fit: it does not begin with `session.created`, or names somebody who is not there."""


def apply(state: State | None, fact: rooms.Fact) -> State:
    """The state after one event. Raises ReplayError where the event cannot follow this state."""
    if isinstance(fact, rooms.SessionCreated):
        return fact.state
    if state is None:
        raise ReplayError(f"a log begins with session.created, not with {fact.type}")
    return _APPLY[type(fact)](state, fact)


def _player(state: State, player_id: PlayerId, **changes: Any) -> State:
    if all(player.player_id != player_id for player in state.players):
        raise ReplayError(f"no player {player_id} in this session")
    players = [replace(p, **changes) if p.player_id == player_id else p for p in state.players]
    return replace(state, players=players)


def _counted(state: State, fact: rooms.PuzzleSolved | rooms.PuzzleFailed | rooms.PuzzleExpired) -> State:
    counter = fact.closed.verdict.value
    before = next((getattr(p, counter) for p in state.players if p.player_id == fact.player_id), 0)
    return _player(state, fact.player_id, puzzle=fact.next, **{counter: before + 1})


def _countdown(state: State, fact: rooms.SessionCountdown) -> State:
    return replace(state, status=Status.COUNTDOWN, starts_at=fact.starts_at)


def _started(state: State, fact: rooms.SessionStarted) -> State:
    players = [replace(p, base=fact.base, zero_at=fact.zero_at) for p in state.players]
    return replace(state, status=Status.ACTIVE, started_at=fact.started_at, players=players)


def _finished(state: State, fact: rooms.SessionFinished) -> State:
    return replace(
        state,
        status=Status.FINISHED,
        finished_at=fact.finished_at,
        survival_ms=fact.survival_ms,
        end_reason=fact.reason,
        players=[replace(p, puzzle=None) for p in state.players],
    )


def _joined(state: State, fact: rooms.PlayerJoined) -> State:
    joined = Player(player_id=fact.player_id, seat=fact.seat, name=fact.name, colour=fact.colour)
    return replace(state, players=sorted([*state.players, joined], key=lambda p: p.seat))


def _left(state: State, fact: rooms.PlayerLeft) -> State:
    return replace(state, players=[p for p in state.players if p.player_id != fact.player_id])


def _ticked(state: State, fact: rooms.PointsTicked) -> State:
    for ticked in fact.players:
        state = _player(state, ticked.player_id, base=ticked.base, zero_at=ticked.zero_at)
    return state


_APPLY: dict[type[rooms.Fact], Callable[[State, Any], State]] = {
    rooms.SessionCountdown: _countdown,
    rooms.SessionStarted: _started,
    rooms.SessionFinished: _finished,
    rooms.PlayerJoined: _joined,
    rooms.PlayerReady: lambda state, fact: _player(state, fact.player_id, ready=fact.ready),
    rooms.PlayerLeft: _left,
    rooms.PlayerEliminated: lambda state, fact: _player(
        state, fact.player_id, eliminated_at=fact.eliminated_at, puzzle=None
    ),
    rooms.PuzzleAssigned: lambda state, fact: _player(state, fact.player_id, puzzle=fact.puzzle),
    rooms.PuzzleSolved: _counted,
    rooms.PuzzleFailed: _counted,
    rooms.PuzzleExpired: _counted,
    rooms.PointsAwarded: lambda state, fact: _player(state, fact.to_player_id, base=fact.base, zero_at=fact.zero_at),
    rooms.PointsVoided: lambda state, fact: state,
    rooms.PointsPenalised: lambda state, fact: _player(state, fact.player_id, base=fact.base, zero_at=fact.zero_at),
    rooms.PointsTicked: _ticked,
}
