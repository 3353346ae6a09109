"""The answers of the public HTTP API, as far as a bot reads them. Unknown fields are ignored."""

from msgspec import Struct

from contracts.ids import PlayerId, PuzzleId, RoomSeq, SessionId, TeamId
from contracts.puzzles import ClosedPuzzle, PuzzleView, Verdict
from contracts.rooms import EndReason, State


class Config(Struct, frozen=True, kw_only=True):
    """Where the rest of Baton is. An empty address means the gateway's own."""

    protocol: str
    points_url: str
    puzzle_url: str
    socket_path: str


class TeamMade(Struct, frozen=True, kw_only=True):
    """A new team and the secret of its host."""

    team_id: TeamId
    name: str
    code: str
    host_token: str


class Seated(Struct, frozen=True, kw_only=True):
    """A player's seat and secret."""

    team_id: TeamId
    player_id: PlayerId
    seat: int
    token: str
    session_id: SessionId | None


class TokenRefreshed(Struct, frozen=True, kw_only=True):
    """A newer token."""

    token: str


class Session(Struct, frozen=True, kw_only=True):
    """The public state of a session as of `seq`."""

    session_id: SessionId
    seq: RoomSeq
    epoch: str
    now: int
    state: State


class Judged(Struct, frozen=True, kw_only=True):
    """What became of an answer."""

    puzzle_id: PuzzleId
    verdict: Verdict
    closed: ClosedPuzzle
    next: PuzzleView


class PlayerResult(Struct, frozen=True, kw_only=True):
    """How one player did."""

    player_id: PlayerId
    seat: int
    name: str
    colour: str
    survived_ms: int
    solved: int
    failed: int
    expired: int
    points_given: int
    points_received: int


class KeptAlive(Struct, frozen=True, kw_only=True):
    """What one player gave another."""

    from_player_id: PlayerId
    to_player_id: PlayerId
    points: int
    awards: int


class Results(Struct, frozen=True, kw_only=True):
    """A finished session."""

    session_id: SessionId
    survival_ms: int
    end_reason: EndReason
    players: list[PlayerResult]
    kept_alive: list[KeptAlive]
