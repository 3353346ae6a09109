"""④ Facts that services tell one another over streams.

Each producer numbers its events of a session with `version` 1, 2, 3 …; consumers apply them in that order, each once.
Readers ignore fields they do not know, so a producer may add some.
"""

import msgspec
from msgspec import Struct

from contracts.ids import EventId, PlayerId, SessionId, TeamId
from contracts.puzzles import ClosedPuzzle, PuzzleView


class Event(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every event carries. `at` is in milliseconds since the Unix epoch, by the producer's database clock."""

    event_id: EventId
    session_id: SessionId
    version: int
    at: int


class PuzzleAssigned(Event, tag="puzzle.assigned", frozen=True, kw_only=True):
    """A player without an open puzzle was dealt one."""

    player_id: PlayerId
    puzzle: PuzzleView


class PuzzleAnswered(Event, tag="puzzle.answered", frozen=True, kw_only=True):
    """A player answered at `at`: the puzzle is closed as solved or failed, and the next one is dealt."""

    player_id: PlayerId
    closed: ClosedPuzzle
    next: PuzzleView


class PuzzleExpired(Event, tag="puzzle.expired", frozen=True, kw_only=True):
    """A puzzle reached its deadline unanswered; the next one is dealt at `at`, when that was noticed."""

    player_id: PlayerId
    closed: ClosedPuzzle
    next: PuzzleView


PuzzleEvent = PuzzleAssigned | PuzzleAnswered | PuzzleExpired


class SessionCountdown(Event, tag="session.countdown", frozen=True, kw_only=True):
    """The roster is final; play begins at `starts_at`."""

    team_id: TeamId
    players: list[PlayerId]
    puzzle_types: list[str]
    difficulty: int
    seed: int
    starts_at: int


class SessionStarted(Event, tag="session.started", frozen=True, kw_only=True):
    """Play has begun: every player is to be dealt a first puzzle."""


class PlayerEliminated(Event, tag="player.eliminated", frozen=True, kw_only=True):
    """A player is out for good, since `eliminated_at`."""

    player_id: PlayerId
    eliminated_at: int


class SessionFinished(Event, tag="session.finished", frozen=True, kw_only=True):
    """Nobody plays in this session any more, since `finished_at`."""

    finished_at: int


PointsEvent = SessionCountdown | SessionStarted | PlayerEliminated | SessionFinished

encode = msgspec.json.Encoder().encode
decode_puzzle_event = msgspec.json.Decoder(PuzzleEvent).decode
decode_points_event = msgspec.json.Decoder(PointsEvent).decode


class Confirmation(Struct, frozen=True, kw_only=True):
    """A consumer's word to a producer: this event has taken effect here, do not send it again."""

    event_id: EventId


decode_confirmation = msgspec.json.Decoder(Confirmation).decode


class RebuildRoom(Struct, frozen=True, kw_only=True):
    """A gateway's request to points: this room is missing or behind in Valkey, tell it again from Postgres."""

    session_id: SessionId


decode_rebuild_room = msgspec.json.Decoder(RebuildRoom).decode
