"""SQL on what is waiting to be done, as far as it is not on time."""

from typing import NamedTuple

from sqlalchemy import text

from services.kit.clock import NOW_SQL
from services.kit.database import Transaction


class Backlog(NamedTuple):
    """Ages in milliseconds, 0 where nothing waits."""

    due: int
    awaited: int
    to_replay: int
    unfinished: int
    differing: int


# Each is read from an index that holds little else than what it is about.
_READ = text(
    f"""
    SELECT greatest(0, now - (
            SELECT min(due_at) FROM points.sessions WHERE due_at IS NOT NULL AND awaited_version <= puzzle_version
        )) AS due,
        greatest(0, now - (SELECT min(due_at) FROM points.sessions WHERE awaited_version > puzzle_version)) AS awaited,
        greatest(0, now - (
            SELECT min(finished_at) FROM points.finished_games WHERE replayed_at IS NULL
        )) AS to_replay,
        (SELECT count(*) FROM points.sessions WHERE status <> 'finished') AS unfinished,
        (SELECT count(*) FROM points.finished_games WHERE differences <> '[]') AS differing
    FROM (SELECT {NOW_SQL} AS now) AS clock
    """  # noqa: S608 (our own clock)
)


async def read_backlog(transaction: Transaction) -> Backlog:
    """What is waiting now."""
    return Backlog(*(await transaction.connection.execute(_READ)).one())
