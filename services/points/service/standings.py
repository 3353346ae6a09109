"""Standings: the leaderboard, how a game stands among others, and the upkeep of what both are read from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from contracts.rules import Rules
from services.kit.database import Database, Transaction
from services.points import errors
from services.points.domain.game import Game
from services.points.domain.results import Results
from services.points.domain.rules import comparable, rules_id
from services.points.domain.standings import BEST, SKILL, SURVIVAL, Standings, solved_shares
from services.points.repository import standings as repository

FOLDED_AT_ONCE = 5_000
DEFAULT_RULES = Rules()


@dataclass(frozen=True, slots=True)
class Leader:
    """A team on the leaderboard, with its longest game."""

    rank: int
    team_id: UUID
    team_name: str
    session_id: UUID
    players: int
    survival_ms: int
    finished_at: int


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """A page of it. `teams` is how many there are on all pages."""

    rules_id: str
    rules: Mapping[str, Any]
    teams: int
    leaders: Sequence[Leader]


async def of_game(transaction: Transaction, game: Game, results: Results) -> Standings | None:
    """How a finished game stands now. None for one that is not counted: it never began."""
    if game.started_at is None:
        return None
    rules = rules_id(game.rules)
    shares = {f"{SKILL}{kind}": share for kind, share in solved_shares(results.players).items()}
    found = await repository.read_standings(transaction, rules, {SURVIVAL: results.survival_ms, **shares})
    if not all(standing.equal for standing in found.values()):
        return None  # it ended before standings were kept
    by_type = {measure.removeprefix(SKILL): found[measure] for measure in shares}
    return Standings(rules, found[SURVIVAL], by_type)


async def leaderboard(
    transaction: Transaction, rules: str | None, after: tuple[int, int, UUID] | None, limit: int
) -> Leaderboard:
    """A page of the teams by their longest games by the rules of this name, by default the default rules.

    Each page is of its own moment. Raises Problem 404 for a name by whose rules nobody has played.
    """
    name = rules_id(DEFAULT_RULES) if rules is None else rules
    known = await repository.find_rules(transaction, name)
    if known is None and name != rules_id(DEFAULT_RULES):
        raise errors.rules_not_found()
    rows = await repository.read_leaders(transaction, name, after, limit)
    first = rows[0].survival_ms if rows else 0
    board = (await repository.read_standings(transaction, name, {BEST: first}))[BEST]
    leaders = _ranked(rows, above=board.above, equal=board.equal)
    return Leaderboard(name, known or comparable(DEFAULT_RULES), board.games, leaders)


def _ranked(rows: Sequence[Row[Any]], above: int, equal: int) -> list[Leader]:
    """Rows with their ranks, where `above` teams are better than the first and `equal` (some of them on other pages)
    are as good."""
    leaders: list[Leader] = []
    rank = above + 1
    for place, row in enumerate(rows):
        if place and row.survival_ms < rows[place - 1].survival_ms:
            as_the_first = sum(other.survival_ms == rows[0].survival_ms for other in rows)
            rank = above + equal + place - as_the_first + 1
        leaders.append(
            Leader(rank, row.team_id, row.team_name, row.session_id, row.players, row.survival_ms, row.finished_at)
        )
    return leaders


async def fold(database: Database, limit: int = FOLDED_AT_ONCE) -> int:
    """Add all that finished games have changed to the tallies, so many changes a transaction. Returns how many."""
    folded = 0
    while True:
        async with database.transaction() as transaction:
            taken = await repository.fold_changes(transaction, limit)
        folded += taken
        if taken < limit:
            return folded
