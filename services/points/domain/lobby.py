"""A session before its game begins: who sits where, who is ready, and the host's start."""

from dataclasses import dataclass, field
from typing import Any

from contracts import rooms
from contracts.ids import PlayerId, SessionId, TeamId
from contracts.rooms import EndReason, Fact, Status
from contracts.rules import Rules
from services.points.domain.seats import ForbiddenMoveError, LedgerEntry, Seat


@dataclass(slots=True)
class Lobby:
    """A session's state, and what players and host do before it begins.

    All methods record what they did in `facts` (for clients) and `entries` (for the ledger).
    """

    session_id: SessionId
    team_id: TeamId
    team_name: str
    rules: Rules
    created_at: int
    seed: int = 0
    epoch: str = ""
    status: Status = Status.LOBBY
    starts_at: int | None = None
    started_at: int | None = None
    ending_at: int | None = None
    finished_at: int | None = None
    survival_ms: int | None = None
    end_reason: EndReason | None = None
    seq: int = 0
    settled_at: int = 0
    puzzle_version: int = 0
    awaited_version: int = 0
    """Nothing is to be settled before this version of the puzzle service was applied."""

    sent_version: int = 0
    seats: list[Seat] = field(default_factory=list)
    seats_before: dict[PlayerId, tuple[Any, ...]] = field(default_factory=dict)
    """The seats' values as they were read: only seats that differ are written back."""

    facts: list[tuple[int, Fact]] = field(default_factory=list)
    entries: list[LedgerEntry] = field(default_factory=list)

    def join(self, player_id: PlayerId, seat: int, name: str, colour: str, at: int) -> None:
        """Take a seat. The caller has checked that it is free."""
        self._only_in(Status.LOBBY, "session_in_progress", "Nobody joins after the start.")
        if len(self.seats) >= self.rules.seats:
            raise ForbiddenMoveError("team_full", f"All {self.rules.seats} seats are taken.")
        self.seats.append(Seat(player_id, seat, name, colour))
        self.seats.sort(key=lambda s: s.seat)
        self._tell(at, rooms.PlayerJoined(player_id=player_id, seat=seat, name=name, colour=colour))

    def leave(self, player_id: PlayerId, at: int) -> None:
        """Give the seat back."""
        self._only_in(Status.LOBBY, "session_in_progress", "Nobody leaves after the start.")
        self.seats.remove(self.seat_of(player_id))
        self._tell(at, rooms.PlayerLeft(player_id=player_id))

    def set_ready(self, player_id: PlayerId, ready: bool, at: int) -> None:
        """Say that a player is ready, or not after all."""
        self._only_in(Status.LOBBY, "session_not_in_lobby", "The session has left the lobby.")
        seat = self.seat_of(player_id)
        if seat.ready != ready:
            seat.ready = ready
            self._tell(at, rooms.PlayerReady(player_id=player_id, ready=ready))

    def start(self, at: int) -> None:
        """Begin the countdown."""
        self._only_in(Status.LOBBY, "session_not_in_lobby", "The session was started already.")
        if not self.seats:
            raise ForbiddenMoveError("no_players", "A game needs at least one player.")
        self.status = Status.COUNTDOWN
        self.starts_at = at + self.rules.countdown_ms
        self._tell(at, rooms.SessionCountdown(starts_at=self.starts_at))

    def seat_of(self, player_id: PlayerId) -> Seat:
        """The player's seat. Raises ForbiddenMoveError `player_not_in_session`."""
        for seat in self.seats:
            if seat.player_id == player_id:
                return seat
        raise ForbiddenMoveError("player_not_in_session", "This player has no seat in this session.")

    def _only_in(self, status: Status, code: str, message: str) -> None:
        if self.status is not status:
            raise ForbiddenMoveError(code, message)

    def _tell(self, at: int, fact: Fact) -> None:
        self.facts.append((at, fact))
