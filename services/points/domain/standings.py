"""How a finished game stands among all that were played by the same rules."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.points.domain.results import PlayerResult

SURVIVAL = "survival"
"""The measure of games: their `survival_ms`."""
BEST = "best"
"""The measure of teams: the `survival_ms` of their longest game by these rules."""
SKILL = "skill:"
"""Followed by a type of puzzles: the share that was solved of all that were closed, in millionths, rounded down."""
WHOLE = 1_000_000


@dataclass(frozen=True, slots=True)
class Standing:
    """One value among those of `games` games, itself among them: how many are `below` it, how many `equal` to it."""

    value: int
    games: int
    below: int
    equal: int

    @property
    def above(self) -> int:
        return self.games - self.below - self.equal

    @property
    def percentile(self) -> float:
        """The percentile rank: what part of the games is below, half of the equal ones counted in. 0 to 100."""
        return round(100 * (self.below + self.equal / 2) / self.games, 2)


@dataclass(frozen=True, slots=True)
class Standings:
    """A game's standings: as a whole, and by each type of puzzles that the team met."""

    rules_id: str
    survival: Standing
    by_type: Mapping[str, Standing]


def solved_shares(players: Iterable[PlayerResult]) -> dict[str, int]:
    """The team's share of solved puzzles for each type that it met, in millionths."""
    solved: dict[str, int] = {}
    closed: dict[str, int] = {}
    for player in players:
        for kind, verdicts in player.by_type.items():
            solved[kind] = solved.get(kind, 0) + verdicts["solved"]
            closed[kind] = closed.get(kind, 0) + sum(verdicts.values())
    return {kind: WHOLE * solved[kind] // closed[kind] for kind in sorted(closed)}
