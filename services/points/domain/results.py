"""What a finished game amounts to, from its log: who survived how long, solved what, and kept whom alive."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from contracts import rooms
from contracts.ids import PlayerId
from contracts.rooms import EndReason, Fact
from services.points.domain.game import Game

VERDICTS = ("solved", "failed", "expired")


@dataclass(frozen=True, slots=True)
class PlayerResult:
    """One player's part. `by_type` counts verdicts for each type of puzzle that the player met."""

    player_id: PlayerId
    seat: int
    name: str
    colour: str
    survived_ms: int
    solved: int
    failed: int
    expired: int
    by_type: Mapping[str, Mapping[str, int]]
    points_given: int
    points_received: int


@dataclass(frozen=True, slots=True)
class KeptAlive:
    """Points that one player gave another over the whole game."""

    from_player_id: PlayerId
    to_player_id: PlayerId
    points: int
    awards: int


@dataclass(frozen=True, slots=True)
class Results:
    """A finished session's results."""

    survival_ms: int
    end_reason: EndReason
    players: list[PlayerResult] = field(default_factory=list)
    kept_alive: list[KeptAlive] = field(default_factory=list)


def results_of(game: Game, log: Iterable[Fact]) -> Results:
    """Results of a finished game. Raises ValueError for one that is not finished."""
    if game.finished_at is None or game.end_reason is None:
        raise ValueError("only a finished game has results")
    verdicts: dict[PlayerId, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    given: Counter[tuple[PlayerId, PlayerId]] = Counter()
    awards: Counter[tuple[PlayerId, PlayerId]] = Counter()
    for fact in log:
        if isinstance(fact, rooms.PuzzleSolved | rooms.PuzzleFailed | rooms.PuzzleExpired):
            verdicts[fact.player_id][fact.closed.type][fact.closed.verdict.value] += 1
        elif isinstance(fact, rooms.PointsAwarded):
            pair = fact.from_player_id, fact.to_player_id
            given[pair] += fact.amount
            awards[pair] += 1
    started_at = game.finished_at if game.started_at is None else game.started_at
    players = [
        PlayerResult(
            player_id=seat.player_id,
            seat=seat.seat,
            name=seat.name,
            colour=seat.colour,
            survived_ms=(game.finished_at if seat.eliminated_at is None else seat.eliminated_at) - started_at,
            solved=seat.solved,
            failed=seat.failed,
            expired=seat.expired,
            by_type={
                kind: {verdict: counts[verdict] for verdict in VERDICTS}
                for kind, counts in sorted(verdicts[seat.player_id].items())
            },
            points_given=sum(points for (giver, _), points in given.items() if giver == seat.player_id),
            points_received=sum(points for (_, taker), points in given.items() if taker == seat.player_id),
        )
        for seat in game.seats
    ]
    kept_alive = [
        KeptAlive(giver, taker, points, awards[giver, taker]) for (giver, taker), points in given.most_common()
    ]
    return Results(game.survival_ms or 0, game.end_reason, players, kept_alive)
