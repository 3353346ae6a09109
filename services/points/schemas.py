"""Requests and responses of the points service's HTTP."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=40, pattern=r"^[^\x00-\x1f\x7f<>]+$"),
]
Colour = Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")]


class Request(BaseModel):
    """Unknown fields are refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid")


class CreateTeam(Request):
    name: Name


class TeamCreated(BaseModel):
    team_id: UUID
    name: str
    code: str
    host_token: str


class JoinTeam(Request):
    name: Name
    colour: Colour | None = None


class Joined(BaseModel):
    team_id: UUID
    player_id: UUID
    seat: int
    name: str
    colour: str
    token: str
    session_id: UUID | None


class SpectatorJoined(BaseModel):
    team_id: UUID
    token: str
    session_id: UUID | None


class Done(BaseModel):
    """What is remembered of a write that has nothing to tell."""


class TokenRefreshed(BaseModel):
    """`expires_at` is in milliseconds since the Unix epoch."""

    token: str
    expires_at: int


class TeamMember(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    player_id: UUID
    seat: int
    name: str
    colour: str


class TeamView(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    team_id: UUID
    name: str
    code: str
    players: list[TeamMember]
    session_id: UUID | None


class OpenSession(Request):
    rules: dict[str, Any] = Field(default_factory=dict, description="Rules that differ from the defaults.")


class SetReady(Request):
    ready: bool = True


class SessionView(BaseModel):
    """`state` is what a gateway's snapshot holds, as of `seq`; `now` is the server's time."""

    session_id: UUID
    seq: int
    epoch: str
    now: int
    state: dict[str, Any]


class PlayerPoints(BaseModel):
    player_id: UUID
    seat: int
    name: str
    points: int
    zero_at: int | None
    eliminated_at: int | None


class PointsView(BaseModel):
    """Everybody's points at instant `at`."""

    session_id: UUID
    status: str
    at: int
    players: list[PlayerPoints]


class LedgerEntryView(BaseModel):
    """Why `player_id` has `amount` points more (or fewer) from the instant `at` on.

    `kind` is `start`, `award` (from `from_player_id`, who solved `puzzle_id`), `penalty` (for failing `puzzle_id`),
    `tick` (an operator's), or `void`: a solved puzzle that paid nobody, for a `reason`. `decayed` is what the player
    lost to the decay since the own entry before, and `points` what the player had after this entry; null for a void.
    """

    id: int = Field(validation_alias="entry_id")
    at: int
    kind: str
    amount: int
    player_id: UUID | None
    from_player_id: UUID | None
    puzzle_id: UUID | None
    reason: str | None
    key: str
    decayed: int | None
    points: int | None


class BalanceView(BaseModel):
    """What is left to a player at `at` (now, or the end of the game), after `decayed` more since the last entry."""

    model_config = ConfigDict(from_attributes=True)

    player_id: UUID
    at: int
    decayed: int
    points: int


class LedgerPage(BaseModel):
    """`next` is the `after` of the next page, null on the last, which also has the balances."""

    entries: list[LedgerEntryView]
    balances: list[BalanceView]
    next: int | None


class TriggerDecay(Request):
    session_id: UUID | None = None
    ticks: int = Field(0, ge=0, le=100, description="Extra ticks to take; 0 only settles what is due.")


class DecayTriggered(BaseModel):
    """The settling is under way: `sessions` is the number of active sessions it is for."""

    run_id: UUID
    sessions: int
    ticks: int
