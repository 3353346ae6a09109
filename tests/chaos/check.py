"""Looks at every game that has ended, as soon as nothing of it is on its way any more, and in the end at everything."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from redis.exceptions import RedisError

from baton.demo.team import Team
from contracts.ids import SessionId
from tests.chaos import model
from tests.chaos.season import Season
from tests.chaos.world import World
from tests.e2e import invariants
from tests.e2e.games import Accepted
from tests.e2e.invariants import Records

LOOKED_AT_ONCE = 10
LEFT_OVER = {
    "events in puzzle's outbox": "SELECT count(*) FROM puzzle.outbox",
    "events in points' outbox": "SELECT count(*) FROM points.outbox",
    "rooms that were not told": "SELECT count(*) FROM points.untold_rooms",
    "operators' ticks that were not taken": "SELECT count(*) FROM points.tick_requests",
    "games that have not ended in points": "SELECT count(*) FROM points.sessions WHERE status <> 'finished'",
    "games that have not ended in puzzle": "SELECT count(*) FROM puzzle.sessions WHERE status <> 'finished'",
    "games that were not replayed": "SELECT count(*) FROM points.finished_games WHERE replayed_at IS NULL",
}
"""All of it comes to 0 when nothing breaks any more."""
WRONG = {
    "events given up as dead letters": """
        SELECT count(*) FROM (TABLE puzzle.dead_letters UNION ALL TABLE points.dead_letters) AS d
        WHERE dead_at IS NOT NULL""",
    "games whose replay differs": "SELECT count(*) FROM points.finished_games WHERE differences <> '[]'",
    "puzzles that paid twice": """
        SELECT count(*) FROM (
            SELECT puzzle_id FROM points.ledger WHERE kind IN ('award', 'void')
            GROUP BY puzzle_id HAVING count(*) > 1
        ) AS twice""",
    "solved puzzles without an entry in the ledger": """
        SELECT count(*) FROM (
            SELECT puzzle_id FROM puzzle.puzzles WHERE status = 'solved'
            EXCEPT SELECT puzzle_id FROM points.ledger WHERE kind IN ('award', 'void')
        ) AS lost""",
    "entries of puzzles that nobody solved": """
        SELECT count(*) FROM (
            SELECT puzzle_id FROM points.ledger WHERE kind IN ('award', 'void')
            EXCEPT SELECT puzzle_id FROM puzzle.puzzles WHERE status = 'solved'
        ) AS found""",
    "logs with a gap": """
        SELECT count(*) FROM (
            SELECT session_id FROM points.session_events
            GROUP BY session_id HAVING min(seq) <> 1 OR max(seq) <> count(*)
        ) AS gaps""",
    "games that ended without being noted as finished": """
        SELECT (SELECT count(*) FROM points.sessions WHERE started_at IS NOT NULL AND status = 'finished')
        - (SELECT count(*) FROM points.finished_games)""",
}
OUTCOMES = {
    "games": "SELECT count(*) FROM points.sessions WHERE status = 'finished'",
    "answers judged": "SELECT count(*) FROM puzzle.puzzles WHERE status IN ('solved', 'failed')",
    "puzzles expired": "SELECT count(*) FROM puzzle.puzzles WHERE status = 'expired'",
    "awards": "SELECT count(*) FROM points.ledger WHERE kind = 'award'",
    "voids": "SELECT count(*) FROM points.ledger WHERE kind = 'void'",
    "penalties": "SELECT count(*) FROM points.ledger WHERE kind = 'penalty'",
    "ticks taken": "SELECT count(*) FROM points.session_events WHERE type = 'points.ticked'",
    "eliminations": "SELECT count(*) FROM points.seats WHERE eliminated_at IS NOT NULL",
    "events in logs": "SELECT count(*) FROM points.session_events",
    "games ended by their host": "SELECT count(*) FROM points.sessions WHERE end_reason = 'ended_by_host'",
}


@dataclass
class Checks:
    """What was checked so far, and what does not hold."""

    world: World
    season: Season

    def __post_init__(self) -> None:
        self.waiting: list[Team] = []
        self.broken: list[str] = []
        self.done: Counter[str] = Counter()

    def step(self, most: int = LOOKED_AT_ONCE) -> None:
        """Check some of the games that have ended and are settled. While a server is away, none."""
        while self.season.ended:
            self.waiting.append(self.season.ended.popleft())
        for team in [team for team in self.waiting if team.final is None]:
            self.waiting.remove(team)
            self.broken.append(f"{team.name} did not play to its end: {team.report.faults}")
        for team in self.waiting[:most]:
            try:
                if invariants.unsettled(self.world, [_session_of(team)]):
                    continue
                self._check(team)
            except (psycopg.OperationalError, RedisError):
                return
            self.waiting.remove(team)

    @property
    def is_done(self) -> bool:
        """Whether all games that have ended are checked."""
        return not self.waiting and not self.season.ended

    def left_over(self) -> dict[str, int]:
        """What is still on its way."""
        return self._counts(LEFT_OVER)

    def everything(self) -> Iterator[str]:
        """What must not be in the databases, of all games together."""
        for what, count in self._counts(WRONG).items():
            yield f"{count} {what}"
        for team in self.waiting:
            yield f"{team.name} was not settled: {invariants.unsettled(self.world, [_session_of(team)])}"
        if (unchecked := self.outcomes()["games"] - self.done["games checked"]) > 0:
            yield f"{unchecked} games were played that nobody could check"

    def outcomes(self) -> dict[str, int]:
        """What the games came to."""
        return self._numbers(OUTCOMES)

    def _counts(self, statements: dict[str, str]) -> dict[str, int]:
        return {what: count for what, count in self._numbers(statements).items() if count}

    def _numbers(self, statements: dict[str, str]) -> dict[str, int]:
        """Each by its only value, all in one look."""
        [row] = self.world.query("SELECT " + ", ".join(f'({words}) AS "{what}"' for what, words in statements.items()))
        return {what: int(count) for what, count in row.items()}

    def _check(self, team: Team) -> None:
        session_id, recordings = _session_of(team), [bot.recording for bot in team.bots]
        if team.final is None:
            raise ValueError(f"{team.name} has not ended")
        records = Records.read(self.world, session_id)
        accepted = [
            Accepted(session_id, bot.seated.player_id, judged) for bot in team.bots for judged in bot.judged.values()
        ]
        found = [
            *team.report.faults,
            *invariants.lost_or_doubled(records, accepted),
            *invariants.arithmetic(records),
            *invariants.log_and_recordings(records, team.final.state, recordings),
            *invariants.agreement(self.world, records, room_may_be_lost=True),
            *model.differences(records),
            *model.leaks(records),
        ]
        if found:
            self.broken.append(f"{team.name}, session {session_id}:\n  " + "\n  ".join(found))
        self.done["games checked"] += 1
        self.done["clients' recordings compared"] += len(recordings)
        self.done["events received"] += sum(len(recording.events) for recording in recordings)
        self.done["accepted answers looked up"] += len(accepted)
        self.done["answers that came too late"] += team.report.too_late


def _session_of(team: Team) -> SessionId:
    if team.final is None:
        raise ValueError(f"{team.name} has not ended")
    return team.final.session_id
