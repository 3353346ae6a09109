"""What was read of a room: where it stood, and what had happened."""

from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from contracts.ids import RoomSeq, TeamId


class Position(NamedTuple):
    """How far a log has come, in which life of the database."""

    epoch: str
    seq: RoomSeq


class _Owner(msgspec.Struct):
    team_id: TeamId


_decode_owner = msgspec.json.Decoder(_Owner).decode


@dataclass(frozen=True, slots=True)
class Reading:
    """A room as it stood at one moment. `log` holds its events after the `seq` that was asked for, None if none was."""

    position: Position
    state: bytes
    log: list[tuple[RoomSeq, bytes]] | None

    @property
    def team_id(self) -> TeamId:
        """The team whose session this is."""
        return _decode_owner(self.state).team_id

    def since(self, seq: RoomSeq) -> list[tuple[RoomSeq, bytes]] | None:
        """Exactly the events after `seq`, or None where the log does not reach back so far."""
        missed = [(event, body) for event, body in self.log or () if event > seq]
        wanted = range(seq + 1, self.position.seq + 1)
        return missed if [event for event, _ in missed] == list(wanted) else None

    def reaches(self, floor: Position) -> bool:
        """Whether this is not older than `floor`. Of another epoch it is no continuation, and so not older either."""
        return self.position.epoch != floor.epoch or self.position.seq >= floor.seq
