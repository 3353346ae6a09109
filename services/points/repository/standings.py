"""SQL on standings: what a finished game adds to them, in the transaction of its end, and what they say.

Nothing is counted by looking at all games. A game appends its changes, which no other game's transaction waits for; the
worker adds them to the tallies; and what stands below a value is the sum of a few of their ranges and of the changes
that wait.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Row, bindparam, select, text, tuple_

from contracts.rooms import encode
from contracts.rules import Rules
from services.kit.database import Transaction
from services.kit.models import table_of
from services.points import standing_models as models
from services.points.domain.game import Game
from services.points.domain.rules import comparable, rules_id
from services.points.domain.standings import BEST, SKILL, SURVIVAL, WHOLE, Standing

BITS = 8
"""A range of one level has 2^BITS parts on the level below."""
LEVELS = 5
"""Level 0 holds single values, level LEVELS everything: up to 2^40, which is 34 years in milliseconds."""
LARGEST = 2 ** (BITS * LEVELS) - 1

_COLUMNS = {
    "session_id": "uuid",
    "finished_at": "bigint",
    "began": "boolean",
    "survival_ms": "bigint",
    "players": "smallint",
    "team_id": "uuid",
    "team_name": "text",
    "rules_id": "text",
    "rules": "jsonb",
}
_RECORD = text(
    f"""
    WITH finished AS (
        SELECT * FROM unnest({", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _COLUMNS.items())})
            AS finished ({", ".join(_COLUMNS)})
    ), noted AS (
        INSERT INTO points.finished_games (session_id, finished_at) SELECT session_id, finished_at FROM finished
        ON CONFLICT (session_id) DO NOTHING RETURNING session_id
    ), counted AS (
        SELECT finished.* FROM finished JOIN noted USING (session_id) WHERE began
    ), known AS (
        INSERT INTO points.rule_sets (rules_id, rules) SELECT DISTINCT ON (rules_id) rules_id, rules FROM counted
        ON CONFLICT (rules_id) DO NOTHING
    ), before AS (
        SELECT counted.rules_id, counted.team_id, best.survival_ms
        FROM counted CROSS JOIN LATERAL (
            SELECT survival_ms, session_id FROM points.best_games
            WHERE rules_id = counted.rules_id AND team_id = counted.team_id OFFSET 0
        ) AS best
    ), best AS (
        INSERT INTO points.best_games AS best
            (rules_id, team_id, team_name, session_id, players, survival_ms, finished_at)
        SELECT rules_id, team_id, team_name, session_id, players, survival_ms, finished_at FROM counted
        ON CONFLICT (rules_id, team_id) DO UPDATE SET
            team_name = excluded.team_name, session_id = excluded.session_id, players = excluded.players,
            survival_ms = excluded.survival_ms, finished_at = excluded.finished_at
        WHERE best.survival_ms < excluded.survival_ms
        RETURNING rules_id, team_id, survival_ms
    ), closed AS (
        SELECT counted.session_id, counted.rules_id, event.type = 'puzzle.solved' AS solved,
            convert_from(event.frame, 'UTF8')::json #>> '{{data,closed,type}}' AS kind
        FROM counted CROSS JOIN LATERAL (
            SELECT type, frame FROM points.session_events
            WHERE session_id = counted.session_id AND type IN ('puzzle.solved', 'puzzle.failed', 'puzzle.expired')
            OFFSET 0
        ) AS event
    )
    INSERT INTO points.tally_changes (rules_id, measure, value, change)
    SELECT rules_id, '{SURVIVAL}', least(survival_ms, {LARGEST}), 1 FROM counted
    UNION ALL
    SELECT rules_id, '{BEST}', least(survival_ms, {LARGEST}), 1 FROM best
    UNION ALL
    SELECT rules_id, '{BEST}', least(before.survival_ms, {LARGEST}), -1 FROM before JOIN best USING (rules_id, team_id)
    UNION ALL
    SELECT rules_id, '{SKILL}' || kind, {WHOLE} * count(*) FILTER (WHERE solved) / count(*), 1
    FROM closed GROUP BY session_id, rules_id, kind
    """  # noqa: S608 (our own names)
)
_FOLD = text(
    f"""
    WITH oldest AS ( -- executed once, as a subquery of DELETE need not be: that would find others each time
        SELECT change_id FROM points.tally_changes ORDER BY change_id LIMIT :limit FOR UPDATE SKIP LOCKED
    ), taken AS (
        DELETE FROM points.tally_changes WHERE change_id IN (SELECT change_id FROM oldest)
        RETURNING rules_id, measure, value, change
    ), folded AS (
        INSERT INTO points.tallies AS tally (rules_id, measure, level, node, games)
        SELECT rules_id, measure, level, value >> ({BITS} * level), sum(change)
        FROM taken CROSS JOIN generate_series(0, {LEVELS}) AS level
        GROUP BY 1, 2, 3, 4 HAVING sum(change) <> 0
        ORDER BY 1, 2, 3, 4
        ON CONFLICT (rules_id, measure, level, node) DO UPDATE SET games = tally.games + excluded.games
    )
    SELECT count(*) FROM taken
    """  # noqa: S608 (our own numbers)
)
_STANDINGS = text(
    f"""
    SELECT asked.measure, asked.value, tallied.games + waiting.games AS games,
        tallied.below + waiting.below AS below, tallied.equal + waiting.equal AS equal
    FROM unnest(CAST(:measures AS text[]), CAST(:values AS bigint[])) AS asked (measure, value)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(part.games) FILTER (WHERE depth = {LEVELS}), 0)::bigint AS games,
            coalesce(sum(part.below), 0)::bigint AS below,
            coalesce(sum(part.games - part.below) FILTER (WHERE depth = 0), 0)::bigint AS equal
        FROM generate_series(0, {LEVELS}) AS depth
        CROSS JOIN LATERAL (
            SELECT sum(games) AS games,
                coalesce(sum(games) FILTER (WHERE node < asked.value >> ({BITS} * depth)), 0) AS below
            FROM points.tallies
            WHERE rules_id = :rules_id AND measure = asked.measure AND level = depth
                AND node BETWEEN (asked.value >> ({BITS} * (depth + 1))) << {BITS} AND asked.value >> ({BITS} * depth)
        ) AS part
    ) AS tallied
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(change), 0) AS games,
            coalesce(sum(change) FILTER (WHERE value < asked.value), 0) AS below,
            coalesce(sum(change) FILTER (WHERE value = asked.value), 0) AS equal
        FROM points.tally_changes WHERE rules_id = :rules_id AND measure = asked.measure
    ) AS waiting
    """  # noqa: S608 (our own numbers)
)
_best = table_of(models.BestGame)
_rule_sets = table_of(models.RuleSet)
_find_rules = select(_rule_sets.c.rules).where(_rule_sets.c.rules_id == bindparam("rules_id"))


async def record_finished(transaction: Transaction, games: Sequence[Game]) -> None:
    """Note games that ended in this transaction, and what they change in the standings: once, whatever is repeated.

    Their events must have been written. A game that never began is noted, and stands nowhere.
    """
    rows = [_values(game) for game in games]
    parameters = {name: [row[name] for row in rows] for name in _COLUMNS}
    await transaction.connection.execute(_RECORD, parameters)


@lru_cache
def _named(rules: bytes) -> tuple[str, str]:
    """Name and comparable rules, for rules as JSON: most games have the same few."""
    decoded = msgspec.json.decode(rules, type=Rules)
    return rules_id(decoded), encode(comparable(decoded)).decode()


def _values(game: Game) -> dict[str, Any]:
    name, rules = _named(encode(game.rules))
    return {
        "session_id": game.session_id,
        "finished_at": game.finished_at,
        "began": game.started_at is not None,
        "survival_ms": game.survival_ms,
        "players": len(game.seats),
        "team_id": game.team_id,
        "team_name": game.team_name,
        "rules_id": name,
        "rules": rules,
    }


async def fold_changes(transaction: Transaction, limit: int) -> int:
    """Add the oldest changes to the tallies. Returns how many. Any number may do so at once: each takes others."""
    return int((await transaction.connection.execute(_FOLD, {"limit": limit})).scalar_one())


async def read_standings(transaction: Transaction, rules: str, values: Mapping[str, int]) -> dict[str, Standing]:
    """How a value of each measure stands among the games by these rules."""
    parameters = {
        "rules_id": rules,
        "measures": list(values),
        "values": [min(value, LARGEST) for value in values.values()],
    }
    rows = await transaction.connection.execute(_STANDINGS, parameters)
    return {row.measure: Standing(values[row.measure], row.games, row.below, row.equal) for row in rows}


async def find_rules(transaction: Transaction, rules: str) -> dict[str, Any] | None:
    """The comparable rules of this name, if a game was played by them to its end."""
    found: dict[str, Any] | None = (await transaction.connection.execute(_find_rules, {"rules_id": rules})).scalar()
    return found


async def read_leaders(
    transaction: Transaction, rules: str, after: tuple[int, int, UUID] | None, limit: int
) -> Sequence[Row[Any]]:
    """A page of teams by their longest games, the earlier of equal ones first.

    `after` has survival, end and team of the last one on the page before.
    """
    statement = select(_best).where(_best.c.rules_id == rules)
    if after is not None:
        survival_ms, finished_at, team_id = after
        statement = statement.where(
            _best.c.survival_ms <= survival_ms,
            (_best.c.survival_ms < survival_ms)
            | (tuple_(_best.c.finished_at, _best.c.team_id) > (finished_at, team_id)),
        )
    order = _best.c.survival_ms.desc(), _best.c.finished_at, _best.c.team_id
    return (await transaction.connection.execute(statement.order_by(*order).limit(limit))).all()
