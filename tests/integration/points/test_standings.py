"""Leaderboard and percentiles: counted as games end, and the same as counted anew from all games."""

import random
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest

from contracts import rooms
from contracts.frames import decode_event
from contracts.rules import Rules
from services.kit.database import Database
from services.points.domain.game import Game
from services.points.domain.rules import comparable, rules_id
from services.points.domain.standings import Standings
from services.points.repository import standings as repository
from services.points.service import games, reading, standings
from tests.factories import TYPES
from tests.finished_games import new_team, play, playing
from tests.points_game import Rows, Team, bearer, problem

pytestmark = pytest.mark.anyio

DEFAULT = rules_id(Rules())
SOME_ID = UUID(int=7)


async def standings_of(database: Database, game: Game) -> Standings | None:
    async with database.transaction(snapshot=True) as transaction:
        found = await games.get(transaction, game.session_id)
        return await standings.of_game(transaction, found, await reading.results(transaction, found))


async def whole_board(client: httpx.AsyncClient, limit: int, **query: str) -> list[dict[str, Any]]:
    leaders: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        response = await client.get("/leaderboard", params={"limit": limit, **query, **after})
        assert response.status_code == 200, response.text
        leaders += response.json()["leaders"]
        if response.json()["next"] is None:
            return leaders
        after = {"after": response.json()["next"]}


# --- counted anew, in the plainest way


class Plain:
    """All finished games as the session rows and logs have them, and the standings by looking at each."""

    def __init__(self, rows: Rows) -> None:
        self.games = rows.all("SELECT * FROM points.sessions WHERE status = 'finished' AND started_at IS NOT NULL")
        for game in self.games:
            game["rules_id"] = rules_id(msgspec.convert(game["rules"], Rules))
            game["shares"] = self._shares(rows, game["session_id"])

    def _shares(self, rows: Rows, session_id: UUID) -> dict[str, float]:
        facts = [decode_event(frame).data for frame in rows.frames(session_id)]
        closed = [f for f in facts if isinstance(f, rooms.PuzzleSolved | rooms.PuzzleFailed | rooms.PuzzleExpired)]
        return {
            kind: sum(f.closed.type == kind and isinstance(f, rooms.PuzzleSolved) for f in closed)
            / sum(f.closed.type == kind for f in closed)
            for kind in {f.closed.type for f in closed}
        }

    def of(self, session_id: UUID) -> dict[str, tuple[int, int, int]]:
        """For each measure how many games there are, how many are below and how many equal."""
        [this] = [game for game in self.games if game["session_id"] == session_id]
        same = [game for game in self.games if game["rules_id"] == this["rules_id"]]
        found = {"survival": self._place(this["survival_ms"], [game["survival_ms"] for game in same])}
        for kind, share in this["shares"].items():
            found[kind] = self._place(share, [game["shares"][kind] for game in same if kind in game["shares"]])
        return found

    @staticmethod
    def _place(value: float, among: list[float]) -> tuple[int, int, int]:
        return len(among), sum(other < value for other in among), sum(other == value for other in among)

    def board(self, rules: str) -> list[tuple[int, UUID, int]]:
        """Rank, team and survival, in order."""
        same = [game for game in self.games if game["rules_id"] == rules]
        best = {
            team: min(
                (game for game in same if game["team_id"] == team), key=lambda g: (-g["survival_ms"], g["finished_at"])
            )
            for team in {game["team_id"] for game in same}
        }
        order = sorted(best.values(), key=lambda g: (-g["survival_ms"], g["finished_at"], g["team_id"]))
        return [
            (1 + sum(o["survival_ms"] > g["survival_ms"] for o in order), g["team_id"], g["survival_ms"]) for g in order
        ]


async def test_what_is_counted_as_games_end_is_what_counting_all_of_them_gives(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    """Random games by two sets of rules, some changes folded and some not, ties and improvements among them."""
    chance = random.Random(11)
    ids = [await new_team(database) for _ in range(8)]
    played = []
    for number in range(40):
        interval_ms = chance.choice([5_000, 60_000])
        closed = [(chance.choice(TYPES), chance.random() < 0.6) for _ in range(chance.randrange(9))]
        survival_ms = chance.choice([10, 255, 256, 257, 5_000, 65_536, chance.randrange(1, 75_000)])
        played.append(await play(database, chance.choice(ids), survival_ms, closed, interval_ms=interval_ms))
        if number % 9 == 8:
            await standings.fold(database, limit=chance.choice([3, 1_000]))
    assert rows.value("SELECT count(*) FROM points.tallies") > 100
    assert rows.value("SELECT count(*) FROM points.tally_changes") > 5
    plain = Plain(rows)

    for game in played:
        found = await standings_of(database, game)
        assert found is not None
        assert found.rules_id == rules_id(game.rules)
        by_measure = {"survival": found.survival, **found.by_type}
        assert {m: (s.games, s.below, s.equal) for m, s in by_measure.items()} == plain.of(game.session_id)
    for rules in {rules_id(game.rules) for game in played}:
        for limit in (1, 3, 100):
            board = await whole_board(client, limit, rules_id=rules)
            assert [(e["rank"], UUID(e["team_id"]), e["survival_ms"]) for e in board] == plain.board(rules)
    board_size = (await client.get("/leaderboard")).json()["teams"]
    assert board_size == len(plain.board(DEFAULT))
    ranks = [rank for rank, _, _ in plain.board(DEFAULT)]
    assert len(set(ranks)) < len(ranks) > 5, "without ties nothing was shown of them"


async def test_results_say_how_a_game_stands(client: httpx.AsyncClient, database: Database) -> None:
    team = await Team.make(client, 2)
    others = [await new_team(database) for _ in range(3)]
    for other, survival_ms, closed in zip(
        others,
        (20_000, 40_000, 60_000),
        ([("memory", False)], [("memory", True), ("memory", False)], [("spatial", True)]),
        strict=True,
    ):
        await play(database, other, survival_ms, closed)
    game = await play(database, team.team_id, 40_000, [("memory", True), ("memory", True), ("memory", False)])
    results = await team.get(f"/sessions/{game.session_id}/results")
    assert results["standings"] == {
        "rules_id": DEFAULT,
        "survival": {"value": 40_000, "games": 4, "below": 1, "equal": 2, "percentile": 50.0},
        "by_type": {"memory": {"value": 666_666, "games": 3, "below": 2, "equal": 1, "percentile": 83.33}},
    }


async def test_a_game_that_never_began_stands_nowhere(client: httpx.AsyncClient, database: Database) -> None:
    team = await Team.make(client, 1)
    session_id = await team.open()
    await team.as_host(session_id, "end")
    assert (await team.get(f"/sessions/{session_id}/results"))["standings"] is None
    board = (await client.get("/leaderboard")).json()
    assert (board["teams"], board["leaders"], board["next"]) == (0, [], None)


async def test_a_game_from_before_standings_were_kept_stands_nowhere(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    team = await Team.make(client, 1)
    game = await play(database, team.team_id, 7)
    rows.change("DELETE FROM points.tally_changes")
    assert (await team.get(f"/sessions/{game.session_id}/results"))["standings"] is None


async def test_an_end_counts_once_and_only_with_its_transaction(database: Database, rows: Rows) -> None:
    team_id = await new_team(database)
    game = await playing(database, team_id)
    assert game.started_at is not None
    for kept in (False, True):
        async with database.transaction() as transaction:
            ending = await games.lock(transaction, game.session_id)
            ending.end(game.started_at + 9)
            ending.advance(game.started_at + 9)
            await games.keep(transaction, ending)
            for _ in range(2):
                await repository.record_finished(transaction, [ending])
            if not kept:
                await transaction.connection.rollback()
        assert rows.value("SELECT count(*) FROM points.tally_changes") == (2 if kept else 0)
    async with database.transaction() as transaction:
        await repository.record_finished(transaction, [ending])
    assert rows.value("SELECT count(*) FROM points.tally_changes") == 2
    assert await standings.fold(database) == 2
    assert await standings.fold(database) == 0
    assert rows.all("SELECT DISTINCT games FROM points.tallies") == [{"games": 1}]


async def test_a_game_may_end_while_another_one_ends(database: Database, rows: Rows) -> None:
    """No row is common to them, so none waits for the other's commit, and none for the worker's."""
    first, second, third = [await new_team(database) for _ in range(3)]
    await play(database, first, 10)
    async with database.transaction() as one, database.transaction() as two:
        await repository.fold_changes(two, 100)
        game = await playing(database, second)
        held = await games.lock(one, game.session_id)
        held.end(0)
        held.advance(held.settled_at)
        await games.keep(one, held)
        await play(database, third, 10)
    assert rows.value("SELECT count(*) FROM points.best_games") == 3


async def test_folding_side_by_side_takes_each_change_once(database: Database, rows: Rows) -> None:
    for survival_ms in (5, 6, 7, 8):
        await play(database, await new_team(database), survival_ms)
    async with database.transaction() as one, database.transaction() as two:
        assert await repository.fold_changes(one, 3) == 3
        await one.connection.commit()
        assert await repository.fold_changes(two, 100) == 5
    root = "SELECT games FROM points.tallies WHERE level = 5 ORDER BY measure"
    assert rows.all(root) == [{"games": 4}, {"games": 4}]


async def test_a_team_is_on_the_board_once_by_its_longest_game(client: httpx.AsyncClient, database: Database) -> None:
    team_id = await new_team(database, players=3)
    for survival_ms in (500, 900, 700):
        longest = await play(database, team_id, survival_ms) if survival_ms == 900 else None
        if longest is None:
            await play(database, team_id, survival_ms)
        else:
            best = longest
    board = (await client.get("/leaderboard")).json()
    assert (board["rules_id"], board["rules"], board["teams"]) == (DEFAULT, comparable(Rules()), 1)
    assert board["leaders"] == [
        {
            "rank": 1,
            "team_id": str(team_id),
            "team_name": "Otters",
            "session_id": str(best.session_id),
            "players": 3,
            "survival_ms": 900,
            "finished_at": best.finished_at,
        }
    ]


async def test_only_games_by_the_same_rules_are_compared(client: httpx.AsyncClient, database: Database) -> None:
    easy = await play(database, await new_team(database), 5_000, start_points=100)
    hard = await play(database, await new_team(database), 10)
    reordered = await play(database, await new_team(database), 20, puzzle_types=list(reversed(TYPES)))
    for rules, expected in (
        (rules_id(easy.rules), [easy]),
        (rules_id(hard.rules), [reordered, hard]),
    ):
        board = await whole_board(client, 10, rules_id=rules)
        assert [e["session_id"] for e in board] == [str(game.session_id) for game in expected]


async def test_rules_that_nobody_has_played_by_have_no_board(client: httpx.AsyncClient) -> None:
    assert problem(await client.get("/leaderboard?rules_id=0123456789abcdef")) == (404, "rules_not_found")


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=101", "limit=x", "rules_id=x", "rules_id=0123456789ABCDEF", "after=", "after=1"),
        f"after=1_2_{SOME_ID.hex}",
        f"after=99999999999999999_2_{SOME_ID}",
    ],
)
async def test_the_boards_query_has_bounds(client: httpx.AsyncClient, query: str) -> None:
    assert problem(await client.get(f"/leaderboard?{query}")) == (422, "invalid_request")


async def test_the_board_is_for_everybody(client: httpx.AsyncClient) -> None:
    team = await Team.make(client)
    assert (await client.get("/leaderboard", headers=bearer(team.host))).status_code == 200
