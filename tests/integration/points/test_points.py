"""Points over HTTP: everybody's at this moment, the ledger, the operator's hand on the decay."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from contracts.events import PuzzleEvent
from contracts.rooms import Status
from services.kit.database import Database
from services.points.service import answers, settling
from services.points.service import games as games_service
from tests.points_game import OPERATOR, Game, Rows, Team, bearer, begin, problem, vouching

pytestmark = pytest.mark.anyio


async def apply(database: Database, *events: PuzzleEvent) -> None:
    for event in events:
        async with database.transaction() as transaction:
            await answers.apply(transaction, event)


async def settle_now(database: Database, game: Game) -> int:
    """What the worker does, where the puzzle service has nothing that was not applied."""
    return await settling.settle_due(database, vouching(database, game.puzzles.version))


async def decay(client: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await client.post("/points/decay", json=body, headers=OPERATOR)


async def test_everybodys_points_at_this_moment(client: httpx.AsyncClient, database: Database) -> None:
    game = await begin(client, database)
    await apply(database, game.puzzles.solved(game.players[0], game.started_at + 5))
    expected = [
        (str(player), seat, points)
        for seat, (player, points) in enumerate(zip(game.players, (15, 20, 15), strict=True))
    ]
    for path in (f"/sessions/{game.session_id}/points", f"/teams/{game.team.team_id}/points"):
        body = await game.team.get(path)
        assert (body["session_id"], body["status"]) == (str(game.session_id), "active")
        assert body["at"] >= game.started_at
        assert [(p["player_id"], p["seat"], p["points"]) for p in body["players"]] == expected
        assert [p["zero_at"] for p in body["players"]] == [game.started_at + h * 3_600_000 for h in (15, 20, 15)]
        assert [p["eliminated_at"] for p in body["players"]] == [None] * 3


async def test_points_of_a_team_are_those_of_its_newest_session(client: httpx.AsyncClient) -> None:
    team = await Team.make(client, 1)
    await team.as_host(await team.open(), "end")
    newest = await team.open(start_points=99)
    body = await team.get(f"/teams/{team.team_id}/points")
    assert (body["session_id"], body["status"], body["players"][0]["points"]) == (str(newest), "lobby", 99)


async def test_the_decay_writes_nothing_and_is_seen_all_the_same(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    game = await begin(client, database, interval_ms=250, start_points=10_000)
    before = rows.one("SELECT seq, settled_at FROM points.sessions")
    body = await game.team.get(f"/sessions/{game.session_id}/points")
    elapsed = (body["at"] - game.started_at) // 250
    assert [p["points"] for p in body["players"]] == [10_000 - elapsed] * 3
    assert rows.one("SELECT seq, settled_at FROM points.sessions") == before


async def test_the_ledger_says_why_page_by_page(client: httpx.AsyncClient, database: Database) -> None:
    game = await begin(client, database, players=2, penalty=2)
    solved = game.puzzles.solved(game.players[0], game.started_at + 1)
    failed = game.puzzles.failed(game.players[1], game.started_at + 2)
    await apply(database, solved, failed)
    path = f"/sessions/{game.session_id}/ledger"
    whole = await game.team.get(path)
    assert whole["next"] is None
    assert [(e["kind"], e["amount"]) for e in whole["entries"]] == [
        ("start", 15),
        ("start", 15),
        ("award", 5),
        ("penalty", -2),
    ]
    award = whole["entries"][2]
    assert award["key"] == f"solve:{game.session_id}:{solved.closed.puzzle_id}"
    assert award["puzzle_id"] == str(solved.closed.puzzle_id)
    assert (award["from_player_id"], award["player_id"]) == (str(game.players[0]), str(game.players[1]))
    assert award["at"] == solved.at

    pages: list[list[Any]] = []
    after: int | None = 0
    while after is not None:
        page = await game.team.get(f"{path}?after={after}&limit=3")
        pages.append(page["entries"])
        after = page["next"]
    assert [len(page) for page in pages] == [3, 1]
    assert [entry for page in pages for entry in page] == whole["entries"]


async def test_a_ledger_that_ends_with_its_page_has_an_empty_one_behind_it(
    client: httpx.AsyncClient, database: Database
) -> None:
    game = await begin(client, database, players=2)
    path = f"/sessions/{game.session_id}/ledger"
    first = await game.team.get(f"{path}?limit=2")
    assert first["next"] == first["entries"][-1]["id"]
    assert first["balances"] == []
    last = await game.team.get(f"{path}?limit=2&after={first['next']}")
    assert (last["entries"], last["next"], len(last["balances"])) == ([], None, 2)


async def pages_of(game: Game, limit: int, **query: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """All entries and the balances behind them."""
    entries: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        asked = "&".join(f"{name}={value}" for name, value in {"after": after, "limit": limit, **query}.items())
        page = await game.team.get(f"/sessions/{game.session_id}/ledger?{asked}")
        assert len(page["entries"]) <= limit
        entries += page["entries"]
        after = page["next"]
        assert (page["balances"] == []) == (after is not None)
    return entries, page["balances"]


async def test_every_point_of_a_player_is_accounted_for(client: httpx.AsyncClient, database: Database) -> None:
    """Amounts less what decayed are the points, entry by entry, on pages of any size, for one player or for all."""
    game = await begin(client, database, players=3, penalty=2, interval_ms=1_000, start_points=5, award=4)
    first, second, third = game.players
    make, t = game.puzzles, game.started_at
    await apply(
        database,
        make.solved(first, t + 1_500),  # 4 left of 5, and 4 more, to the second
        make.failed(second, t + 2_000),
        make.solved(third, t + 4_999),  # to the first, who has 1 left
        make.solved(second, t + 5_000),  # the third is out by now: to the first again
        make.solved(third, t + 5_001),  # void: the solver is out
        make.failed(first, t + 13_000),  # who is out
    )
    await game.team.as_host(game.session_id, "end")
    async with database.transaction() as transaction:
        ended = await games_service.lock(transaction, game.session_id)
        ended.advance(t + 60_000)
        await games_service.keep(transaction, ended)

    whole, balances = await pages_of(game, 500)
    told = [(e["kind"], e["player_id"], e["at"] - t, e["decayed"], e["amount"], e["points"]) for e in whole]
    assert told == [
        *(("start", str(player), 0, 0, 5, 5) for player in game.players),
        ("award", str(second), 1_500, 1, 4, 8),
        ("penalty", str(second), 2_000, 1, -2, 5),
        ("award", str(first), 4_999, 4, 4, 5),
        ("award", str(first), 5_000, 1, 4, 8),
        ("void", None, 5_001, None, 0, None),
    ]
    assert whole[-1]["reason"] == "solver_out"
    assert whole[-1]["from_player_id"] == str(third)
    assert [(b["player_id"], b["decayed"], b["points"]) for b in balances] == [
        (str(first), 8, 0),
        (str(second), 5, 0),
        (str(third), 5, 0),
    ]
    assert {b["at"] for b in balances} == {ended.finished_at}
    for limit in (1, 2, 3):
        assert await pages_of(game, limit) == (whole, balances)
        for player, balance in zip(game.players, balances, strict=True):
            own = [entry for entry in whole if entry["player_id"] == str(player)]
            assert await pages_of(game, limit, player_id=player) == (own, [balance])
            points = 0
            for entry in own:
                points += entry["amount"] - entry["decayed"]
                assert points == entry["points"]
            assert points - balance["decayed"] == balance["points"]


async def test_a_running_game_has_balances_of_this_moment(client: httpx.AsyncClient, database: Database) -> None:
    game = await begin(client, database, players=1, interval_ms=250, start_points=10_000)
    _, [balance] = await pages_of(game, 10)
    assert balance["at"] >= game.started_at
    assert balance["decayed"] == (balance["at"] - game.started_at) // 250 == 10_000 - balance["points"]


async def test_before_a_game_there_is_nothing_to_explain(client: httpx.AsyncClient) -> None:
    team = await Team.make(client, 1)
    session_id = await team.open()
    path = f"/sessions/{session_id}/ledger"
    assert await team.get(path) == {"entries": [], "balances": [], "next": None}
    for player, expected in ((uuid4(), (404, "player_not_in_session")), ("x", (422, "invalid_request"))):
        response = await client.get(f"{path}?player_id={player}", headers=bearer(team.host))
        assert problem(response) == expected


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "after=-1", "after=99999999999999999999"])
async def test_pages_have_bounds(client: httpx.AsyncClient, query: str) -> None:
    team = await Team.make(client, 1)
    session_id = await team.open()
    response = await client.get(f"/sessions/{session_id}/ledger?{query}", headers=bearer(team.host))
    assert problem(response) == (422, "invalid_request")


async def test_an_operators_ticks_are_taken_once_however_often_is_settled(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    game = await begin(client, database, players=2)
    response = await decay(client, session_id=str(game.session_id), ticks=3)
    assert response.status_code == 202
    assert (response.json()["sessions"], response.json()["ticks"]) == (1, 3)
    for _ in range(3):
        await settle_now(database, game)
    body = await game.team.get(f"/sessions/{game.session_id}/points")
    assert [p["points"] for p in body["players"]] == [12, 12]
    assert [e["amount"] for e in rows.ledger(game.session_id) if e["kind"] == "tick"] == [-3, -3]
    assert await game.state() == rows.replayed(game.session_id)


async def test_two_requests_are_two_runs(client: httpx.AsyncClient, database: Database, rows: Rows) -> None:
    game = await begin(client, database, players=1)
    runs = [(await decay(client, ticks=ticks)).json()["run_id"] for ticks in (1, 2)]
    await settle_now(database, game)
    entries = [e for e in rows.ledger(game.session_id) if e["kind"] == "tick"]
    assert [(e["amount"], e["key"]) for e in entries] == [
        (-ticks, f"tick:{game.session_id}:{run}:{game.players[0]}") for ticks, run in zip((1, 2), runs, strict=True)
    ]


async def test_ticks_for_all_are_taken_from_every_active_session_and_no_other(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    games = [await begin(client, database, players=1) for _ in range(2)]
    lobby = await Team.make(client, 1)
    await lobby.open()
    response = await decay(client, ticks=1)
    assert response.json()["sessions"] == 2
    for game in games:
        await settle_now(database, game)
    assert rows.value("SELECT count(*) FROM points.ledger WHERE kind = 'tick'") == 2
    assert rows.value("SELECT count(*) FROM points.tick_requests") == 0


async def test_ticks_wait_for_answers_that_are_still_on_their_way(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    game = await begin(client, database, players=2, start_points=5)
    saving = game.puzzles.solved(game.players[0], game.started_at + 1)
    await decay(client, ticks=6)
    assert await settle_now(database, game) == 0  # version 1 is not applied yet
    await apply(database, saving)
    assert await settle_now(database, game) == 1
    state = await game.state()
    assert [player.eliminated_at is None for player in state.players] == [False, True]


async def test_enough_ticks_end_the_game(client: httpx.AsyncClient, database: Database) -> None:
    game = await begin(client, database)
    await decay(client, ticks=100)
    await settle_now(database, game)
    state = await game.state()
    assert state.status is Status.FINISHED
    assert state.survival_ms == (state.finished_at or 0) - game.started_at


async def test_no_ticks_only_settle(client: httpx.AsyncClient, database: Database, rows: Rows) -> None:
    await begin(client, database)
    response = await decay(client)
    assert (response.status_code, response.json()["sessions"], response.json()["ticks"]) == (202, 1, 0)
    assert rows.value("SELECT count(*) FROM points.tick_requests") == 0


async def test_ticks_of_a_game_that_ended_meanwhile_are_dropped(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    game = await begin(client, database, players=1)
    await game.team.as_host(game.session_id, "end")
    await decay(client, ticks=2)
    await settle_now(database, game)
    assert (await game.state()).status is Status.FINISHED
    assert rows.value("SELECT count(*) FROM points.ledger WHERE kind = 'tick'") == 0
    assert rows.value("SELECT count(*) FROM points.tick_requests") == 0


@pytest.mark.parametrize("ticks", [-1, 101, 1.5, "many", None])
async def test_ticks_have_bounds(client: httpx.AsyncClient, ticks: Any) -> None:
    assert problem(await decay(client, ticks=ticks)) == (422, "invalid_request")


async def test_ticks_for_an_unknown_session_are_refused(client: httpx.AsyncClient) -> None:
    assert problem(await decay(client, session_id=str(uuid4()), ticks=1)) == (404, "session_not_found")
