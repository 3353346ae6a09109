"""Responses about finished games: results and standings."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class PlayerResultView(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    player_id: UUID
    seat: int
    name: str
    colour: str
    survived_ms: int
    solved: int
    failed: int
    expired: int
    by_type: dict[str, dict[str, int]]
    points_given: int
    points_received: int


class KeptAliveView(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    from_player_id: UUID
    to_player_id: UUID
    points: int
    awards: int


class StandingView(BaseModel):
    """One value among those of `games` games by the same rules, this game among them.

    `below` of them have less and `equal` (itself counted in) have the same; `percentile`, from 0 to 100, is the part
    that has less, half of the equal ones counted in.
    """

    model_config = ConfigDict(from_attributes=True)

    value: int
    games: int
    below: int
    equal: int
    percentile: float


class StandingsView(BaseModel):
    """How the game stands now among all that were played by rules with the same `rules_id`.

    The value of `survival` is in milliseconds. `by_type` has the types of puzzles that the team met: the value is the
    share of closed puzzles that were solved, in millionths, among the games that met the type too.
    """

    model_config = ConfigDict(from_attributes=True)

    rules_id: str
    survival: StandingView
    by_type: dict[str, StandingView]


class ResultsView(BaseModel):
    """`standings` is null for a game that never began."""

    session_id: UUID
    survival_ms: int
    end_reason: str
    standings: StandingsView | None
    players: list[PlayerResultView]
    kept_alive: list[KeptAliveView]


class LeaderView(BaseModel):
    """A team's longest game by these rules. Teams with equal times share a rank."""

    model_config = ConfigDict(from_attributes=True)

    rank: int
    team_id: UUID
    team_name: str
    session_id: UUID
    players: int
    survival_ms: int
    finished_at: int


class LeaderboardView(BaseModel):
    """`rules` has those that are compared: all but the countdown. `teams` is how many are on the whole board.

    `next` is the `after` of the next page, null on the last.
    """

    rules_id: str
    rules: dict[str, Any]
    teams: int
    leaders: list[LeaderView]
    next: str | None
