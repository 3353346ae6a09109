"""② Answers that come at the same time share a transaction, and none of them spoils another."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import httpx
import pytest

from contracts.ids import PlayerId, PuzzleId
from services.kit.database import Database
from services.kit.idempotency import Key
from services.kit.problem import Problem
from services.puzzle.repository import sessions
from services.puzzle.service.answering import Given, answer_all
from tests.direct import change_schema
from tests.puzzle_game import TYPES, Game, Rows, answer, begin, problem, right_answer, wrong_answer

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("clean")]


def given(puzzle: dict[str, Any], answered: Any = None, **fields: Any) -> Given:
    right = right_answer(puzzle) if answered is None else answered
    return Given(
        **{"puzzle_id": PuzzleId(puzzle["puzzle_id"]), "player_id": PlayerId(puzzle["player_id"]), **fields},
        answer=right,
    )


async def judged(database: Database, answers: Sequence[Given]) -> list[Any]:
    """What came of answers in one transaction: verdicts, or codes of problems."""
    async with database.transaction() as transaction:
        results = await answer_all(transaction, TYPES, answers)
    return [_outcome(result) for result in results]


def _outcome(result: bytes | Exception) -> Any:
    if isinstance(result, bytes):
        return json.loads(result)["verdict"]
    return result.code if isinstance(result, Problem) else result


def versions(rows: Rows, game: Game) -> list[int]:
    return [event.version for event in rows.events(game.session_id)]


async def test_each_answer_of_a_group_gets_its_own_verdict_or_problem(database: Database, rows: Rows) -> None:
    one, two = await begin(database, Game()), await begin(database, Game(players=2))
    first, second, third = (rows.open_puzzle(player) for player in one.players)
    other, beside = (rows.open_puzzle(player) for player in two.players)

    results = await judged(
        database,
        [
            given(first),
            given(second, {"nonsense": True}),
            given(first, puzzle_id=PuzzleId(uuid4())),
            given(first),
            given(other),
            given(beside, player_id=two.players[0]),
            given(third, wrong_answer(third)),
        ],
    )

    assert results == [
        *("solved", "invalid_answer", "puzzle_not_found", "puzzle_closed"),
        *("solved", "not_your_puzzle", "failed"),
    ]
    assert (versions(rows, one), versions(rows, two)) == ([1, 2, 3, 4, 5], [1, 2, 3])
    assert [rows.puzzle(p["puzzle_id"])["status"] for p in (first, second, third)] == ["solved", "open", "failed"]
    for player in one.players + two.players:
        assert rows.open_puzzle(player)["opened_at"] > 0  # each has one puzzle, and one alone


async def test_a_key_that_comes_twice_in_a_group_gets_one_response(database: Database, rows: Rows) -> None:
    game = await begin(database, Game(players=2))
    first, second = (rows.open_puzzle(player) for player in game.players)
    key = Key("somebody", "answer-0001")
    once, again = given(first, key=key, request_hash=b"a"), given(first, key=key, request_hash=b"a")
    another = given(second, key=key, request_hash=b"b")

    async with database.transaction() as transaction:
        results = await answer_all(transaction, TYPES, [once, again, another])
    assert results[0] == results[1]
    assert isinstance(results[2], Problem)
    assert results[2].code == "idempotency_key_reused"

    async with database.transaction() as transaction:
        assert await answer_all(transaction, TYPES, [again]) == results[:1]
    assert versions(rows, game) == [1, 2, 3]


async def test_answers_at_the_same_time_share_transactions(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    games = [await begin(database, Game(players=4)) for _ in range(4)]
    puzzles = [(game, player, rows.open_puzzle(player)) for game in games for player in game.players]

    responses = await asyncio.gather(
        *(answer(client, game, player, p["puzzle_id"], right_answer(p)) for game, player, p in puzzles)
    )

    assert [response.json()["verdict"] for response in responses] == ["solved"] * 16
    for game in games:
        assert versions(rows, game) == list(range(1, 9))
    found = rows.one("SELECT count(DISTINCT xmin::text) FROM puzzle.outbox WHERE version > 4")
    assert found["count"] < 16


async def test_nobody_waits_for_a_session_that_somebody_holds(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    held, free = await begin(database, Game(players=1)), await begin(database, Game(players=1))
    [waiting, answered] = (rows.open_puzzle(game.players[0]) for game in (held, free))
    async with database.transaction() as transaction, asyncio.timeout(2.5):  # less than one waits for a lock
        await sessions.lock(transaction, held.session_id)
        late = asyncio.create_task(answer(client, held, held.players[0], waiting["puzzle_id"], right_answer(waiting)))
        await asyncio.sleep(0)
        response = await answer(client, free, free.players[0], answered["puzzle_id"], right_answer(answered))
        assert response.json()["verdict"] == "solved"
        assert not late.done()
    assert (await late).json()["verdict"] == "solved"


async def test_a_group_that_cannot_be_committed_is_answered_one_by_one(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    """The database refuses at the commit whatever changes more than one session."""
    games = [await begin(database, Game(players=1)) for _ in range(6)]
    puzzles = [rows.open_puzzle(game.players[0]) for game in games]
    await change_schema(
        rows,
        """
        CREATE FUNCTION puzzle.only_one() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF (SELECT count(*) FROM puzzle.sessions WHERE xmin = pg_current_xact_id()::xid) > 1
            THEN RAISE EXCEPTION 'more than one'; END IF;
            RETURN NULL;
        END $$
        """,
    )
    await change_schema(
        rows,
        """
        CREATE CONSTRAINT TRIGGER only_one AFTER UPDATE ON puzzle.sessions DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION puzzle.only_one()
        """,
    )
    try:
        responses = await asyncio.gather(
            *(
                answer(client, game, game.players[0], p["puzzle_id"], right_answer(p), Idempotency_Key=f"answer-{n:04}")
                for n, (game, p) in enumerate(zip(games, puzzles, strict=True))
            )
        )
    finally:
        await change_schema(rows, "DROP TRIGGER only_one ON puzzle.sessions")
        await change_schema(rows, "DROP FUNCTION puzzle.only_one()")
    assert [response.json()["verdict"] for response in responses] == ["solved"] * 6
    assert [versions(rows, game) for game in games] == [[1, 2]] * 6


async def test_a_key_that_another_request_is_using_meanwhile_is_refused(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    game = await begin(database, Game(players=1))
    player = game.players[0]
    puzzle = rows.open_puzzle(player)
    async with database.transaction() as transaction:
        await transaction.connection.exec_driver_sql(
            "INSERT INTO puzzle.idempotency VALUES (%s, 'answer-0001', 'other', '{}', 0)", (str(player),)
        )
        late = asyncio.create_task(
            answer(client, game, player, puzzle["puzzle_id"], right_answer(puzzle), Idempotency_Key="answer-0001")
        )
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        async with asyncio.timeout(10):
            while rows.one(waits)["count"] == 0:  # noqa: ASYNC110 (it is the database that knows)
                await asyncio.sleep(0.01)
    assert problem(await late) == (422, "idempotency_key_reused")
    assert rows.puzzle(puzzle["puzzle_id"])["status"] == "open"
    assert versions(rows, game) == [1]
