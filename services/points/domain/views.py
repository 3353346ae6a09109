"""What others are told of a game: clients its public state, the puzzle service what it needs to deal."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import msgspec

from contracts import events, frames, rooms
from contracts.ids import EventId, PlayerId, RoomSeq
from contracts.rooms import State, Status
from services.points.domain.game import Game
from services.points.domain.rules import points_at
from services.points.domain.seats import Seat

_pack = msgspec.msgpack.Encoder().encode
_NUMBER: Any = msgspec.Raw(b"%d")
"""In the place of a number that is put in later."""


def public_state(game: Game) -> State:
    """Everything a client may know."""
    return _state(game, [seat.open_puzzle for seat in game.seats])


def encode_state(game: Game) -> bytes:
    """The public state as JSON. Puzzles that are JSON still are passed on as they are."""
    return rooms.encode(_state(game, [seat.puzzle for seat in game.seats]))


def _state(game: Game, puzzles: Sequence[Any]) -> State:
    return State(
        session_id=game.session_id,
        team_id=game.team_id,
        team_name=game.team_name,
        status=game.status,
        rules=game.rules,
        created_at=game.created_at,
        starts_at=game.starts_at,
        started_at=game.started_at,
        finished_at=game.finished_at,
        survival_ms=game.survival_ms,
        end_reason=game.end_reason,
        players=[
            rooms.Player(
                player_id=seat.player_id,
                seat=seat.seat,
                name=seat.name,
                colour=seat.colour,
                ready=seat.ready,
                base=seat.base,
                zero_at=seat.zero_at,
                eliminated_at=seat.eliminated_at,
                solved=seat.solved,
                failed=seat.failed,
                expired=seat.expired,
                puzzle=puzzle,
            )
            for seat, puzzle in zip(game.seats, puzzles, strict=True)
        ],
    )


def points_of(game: Game, seat: Seat, at: int) -> int:
    """A player's points at `at`; before the start what they will begin with, after the end what they ended with."""
    if game.status is Status.FINISHED and game.started_at is None:
        return 0
    base, began_at = seat.base, game.started_at
    if began_at is None:
        base, began_at = game.rules.start_points, game.starts_at
    at = min(instant for instant in (at, game.ending_at, game.finished_at) if instant is not None)
    if began_at is None or at < began_at:
        return game.rules.start_points
    if seat.eliminated_at is not None or (seat.zero_at is not None and seat.zero_at <= at):
        return 0
    return points_at(game.rules, began_at, base, at)


def encode_schedule(game: Game) -> bytes:
    """How everybody's points decay, as `repository/ticks.lua` reads it; empty for a game that is not being played.

    Who is out has 0 points for good. Of who is still in, it is enough to know `base`: it is used up at `zero_at`.
    """
    if game.status is not Status.ACTIVE:
        return b""
    points: dict[PlayerId, int] = {}
    bases: list[int] = []
    for seat in game.seats:
        points[seat.player_id] = _NUMBER if seat.is_in else 0
        if seat.is_in:
            bases.append(seat.base)
    tick = frames.encode(frames.Tick(seq=RoomSeq(game.seq), at=_NUMBER, next_at=_NUMBER, points=points))
    rules = game.rules
    message = f"={game.seq} {tick.decode()}"
    values = (message, game.started_at, rules.interval_ms, rules.decay, game.ending_at or 0)
    return b"".join(map(_pack, (*values, *bases)))


def outbound(game: Game) -> list[events.PointsEvent]:
    """Events for the puzzle service out of what the game recorded, numbered on from what was sent before."""
    made: list[events.PointsEvent] = []
    for at, fact in game.facts:
        envelope: dict[str, Any] = {
            "event_id": EventId(uuid4()),
            "session_id": game.session_id,
            "version": game.sent_version + len(made) + 1,
            "at": at,
        }
        if isinstance(fact, rooms.SessionCountdown):
            made.append(
                events.SessionCountdown(
                    **envelope,
                    team_id=game.team_id,
                    players=[seat.player_id for seat in game.seats],
                    puzzle_types=game.rules.puzzle_types,
                    difficulty=game.rules.difficulty,
                    seed=game.seed,
                    starts_at=fact.starts_at,
                )
            )
        elif isinstance(fact, rooms.SessionStarted):
            made.append(events.SessionStarted(**envelope))
        elif isinstance(fact, rooms.PlayerEliminated):
            made.append(events.PlayerEliminated(**envelope, player_id=fact.player_id, eliminated_at=fact.eliminated_at))
        elif isinstance(fact, rooms.SessionFinished) and (game.sent_version or made):
            made.append(events.SessionFinished(**envelope, finished_at=fact.finished_at))
    return made
