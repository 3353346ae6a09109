"""What was read of a room: where it stood, and what had happened."""

from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from contracts.ids import PlayerId, RoomSeq, TeamId
from contracts.rooms import Status


class Position(NamedTuple):
    """How far a log has come, in which life of the database."""

    epoch: str
    seq: RoomSeq


class _Seat(msgspec.Struct, frozen=True):
    player_id: PlayerId


class Roster(msgspec.Struct, frozen=True):
    """What a room's state says of who may come in: the team whose session it is, and who has a seat."""

    team_id: TeamId
    status: Status
    players: list[_Seat]

    def has(self, player_id: PlayerId) -> bool:
        """Whether that player has a seat."""
        return any(seat.player_id == player_id for seat in self.players)


_decode_roster = msgspec.json.Decoder(Roster).decode


@dataclass(frozen=True, slots=True)
class Reading:
    """A room as it stood at one moment. `log` holds its events after the `seq` that was asked for, None if none was."""

    position: Position
    state: bytes
    log: list[tuple[RoomSeq, bytes]] | None

    @property
    def roster(self) -> Roster:
        """Who may come in. It is decoded at each call."""
        return _decode_roster(self.state)

    def since(self, seq: RoomSeq) -> list[tuple[RoomSeq, bytes]] | None:
        """Exactly the events after `seq`, or None where the log does not reach back so far."""
        missed = [(event, body) for event, body in self.log or () if event > seq]
        wanted = range(seq + 1, self.position.seq + 1)
        return missed if [event for event, _ in missed] == list(wanted) else None

    def reaches(self, floor: Position) -> bool:
        """Whether this is not older than `floor`. Of another epoch it is no continuation, and so not older either."""
        return self.position.epoch != floor.epoch or self.position.seq >= floor.seq
