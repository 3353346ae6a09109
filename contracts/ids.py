"""Ids are types of their own, so that a player's id is never passed where a session's is meant."""

from typing import NewType
from uuid import UUID

TeamId = NewType("TeamId", UUID)
SessionId = NewType("SessionId", UUID)
PlayerId = NewType("PlayerId", UUID)
PuzzleId = NewType("PuzzleId", UUID)
EventId = NewType("EventId", UUID)

RoomSeq = NewType("RoomSeq", int)
"""Position in a session's log of numbered events: 1, 2, 3 … without a gap."""
