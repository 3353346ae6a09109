"""⑦ What the clients of a session's room are told: its public state, and the numbered events that change it.

A state holds nothing that changes by itself: a player's points at an instant `t` follow from `base` and the rules as
`max(0, base - decay * floor((t - started_at) / interval_ms))`, and are 0 from `zero_at` on.
"""

from enum import StrEnum
from typing import ClassVar, get_args

import msgspec
from msgspec import Struct

from contracts.ids import PlayerId, PuzzleId, SessionId, TeamId
from contracts.puzzles import ClosedPuzzle, PuzzleView
from contracts.rules import Rules


class Status(StrEnum):
    """A session's life, only forward."""

    LOBBY = "lobby"
    COUNTDOWN = "countdown"
    ACTIVE = "active"
    FINISHED = "finished"


class VoidReason(StrEnum):
    """Why a solved puzzle paid nobody."""

    NOBODY_LEFT = "nobody_left"
    NEXT_SEAT_OUT = "next_seat_out"
    SOLVER_OUT = "solver_out"
    SESSION_OVER = "session_over"


class EndReason(StrEnum):
    """Why a session finished."""

    ALL_OUT = "all_out"
    ENDED_BY_HOST = "ended_by_host"
    ABANDONED = "abandoned"


class Player(Struct, frozen=True, kw_only=True):
    """A seat in the public state. `base` and `zero_at` mean something from the start of the game on."""

    player_id: PlayerId
    seat: int
    name: str
    colour: str
    ready: bool = False
    base: int = 0
    zero_at: int | None = None
    eliminated_at: int | None = None
    solved: int = 0
    failed: int = 0
    expired: int = 0
    puzzle: PuzzleView | None = None


class State(Struct, frozen=True, kw_only=True):
    """Everything a client may know of a session. Players are ordered by seat."""

    session_id: SessionId
    team_id: TeamId
    team_name: str
    status: Status
    rules: Rules
    created_at: int
    starts_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    survival_ms: int | None = None
    end_reason: EndReason | None = None
    players: list[Player] = []


class SessionCreated(Struct, frozen=True, kw_only=True):
    """The first event of every log: the state everything else builds on, still without players."""

    type: ClassVar[str] = "session.created"
    state: State


class SessionCountdown(Struct, frozen=True, kw_only=True):
    """The host started the session: play begins at `starts_at`, nobody joins any more."""

    type: ClassVar[str] = "session.countdown"
    starts_at: int


class SessionStarted(Struct, frozen=True, kw_only=True):
    """Play began at `started_at`. Everybody has `base` points and reaches zero at `zero_at` if nobody helps."""

    type: ClassVar[str] = "session.started"
    started_at: int
    base: int
    zero_at: int


class SessionFinished(Struct, frozen=True, kw_only=True):
    """The game is over; `survival_ms` is the team's score (0 if it never began)."""

    type: ClassVar[str] = "session.finished"
    finished_at: int
    survival_ms: int
    reason: EndReason


class PlayerJoined(Struct, frozen=True, kw_only=True):
    """Somebody took a seat in the lobby."""

    type: ClassVar[str] = "player.joined"
    player_id: PlayerId
    seat: int
    name: str
    colour: str


class PlayerReady(Struct, frozen=True, kw_only=True):
    """A player said that they are (or are not) ready."""

    type: ClassVar[str] = "player.ready"
    player_id: PlayerId
    ready: bool


class PlayerLeft(Struct, frozen=True, kw_only=True):
    """A player left the lobby; the seat is free again."""

    type: ClassVar[str] = "player.left"
    player_id: PlayerId


class PlayerEliminated(Struct, frozen=True, kw_only=True):
    """A player reached zero at `eliminated_at`, and is out for good; the open puzzle is withdrawn."""

    type: ClassVar[str] = "player.eliminated"
    player_id: PlayerId
    eliminated_at: int


class PuzzleAssigned(Struct, frozen=True, kw_only=True):
    """A player was dealt a puzzle."""

    type: ClassVar[str] = "puzzle.assigned"
    player_id: PlayerId
    puzzle: PuzzleView


class PuzzleSolved(Struct, frozen=True, kw_only=True):
    """A player's answer was right. What it paid follows as `points.awarded` or `points.voided`."""

    type: ClassVar[str] = "puzzle.solved"
    player_id: PlayerId
    closed: ClosedPuzzle
    next: PuzzleView


class PuzzleFailed(Struct, frozen=True, kw_only=True):
    """A player's answer was wrong. A penalty, where the rules have one, follows as `points.penalised`."""

    type: ClassVar[str] = "puzzle.failed"
    player_id: PlayerId
    closed: ClosedPuzzle
    next: PuzzleView


class PuzzleExpired(Struct, frozen=True, kw_only=True):
    """A player's puzzle reached its deadline."""

    type: ClassVar[str] = "puzzle.expired"
    player_id: PlayerId
    closed: ClosedPuzzle
    next: PuzzleView


class PointsAwarded(Struct, frozen=True, kw_only=True):
    """A solved puzzle paid `amount` to the next player, whose new `base` and `zero_at` these are."""

    type: ClassVar[str] = "points.awarded"
    from_player_id: PlayerId
    to_player_id: PlayerId
    puzzle_id: PuzzleId
    amount: int
    base: int
    zero_at: int


class PointsVoided(Struct, frozen=True, kw_only=True):
    """A solved puzzle paid nobody."""

    type: ClassVar[str] = "points.voided"
    from_player_id: PlayerId
    puzzle_id: PuzzleId
    reason: VoidReason


class PointsPenalised(Struct, frozen=True, kw_only=True):
    """A wrong answer took `amount` from the player who gave it."""

    type: ClassVar[str] = "points.penalised"
    player_id: PlayerId
    puzzle_id: PuzzleId
    amount: int
    base: int
    zero_at: int


class Ticked(Struct, frozen=True, kw_only=True):
    """A player's new `base` and `zero_at` after an operator's extra ticks."""

    player_id: PlayerId
    base: int
    zero_at: int


class PointsTicked(Struct, frozen=True, kw_only=True):
    """An operator took `ticks` extra ticks, `amount` points in all, from every player still in."""

    type: ClassVar[str] = "points.ticked"
    ticks: int
    amount: int
    players: list[Ticked]


Fact = (
    SessionCreated
    | SessionCountdown
    | SessionStarted
    | SessionFinished
    | PlayerJoined
    | PlayerReady
    | PlayerLeft
    | PlayerEliminated
    | PuzzleAssigned
    | PuzzleSolved
    | PuzzleFailed
    | PuzzleExpired
    | PointsAwarded
    | PointsVoided
    | PointsPenalised
    | PointsTicked
)
"""`data` of a numbered event, told apart by the event's `type`."""

FACTS: dict[str, type[Fact]] = {fact.type: fact for fact in get_args(Fact)}

encode = msgspec.json.Encoder().encode
decode_state = msgspec.json.Decoder(State).decode
