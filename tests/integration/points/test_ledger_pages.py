"""Every point of every player of random games, page by page over HTTP, while they go on and when they are over."""

import random
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.kit.clock import now_ms
from services.kit.database import Database
from services.kit.tokens import Role
from services.points.repository import saving, teams
from services.points.service import games
from tests.factories import Puzzles
from tests.points_game import bearer
from tests.random_games import Played, a_random_game, happen, lobby_of
from tests.reference_model import Line, Reference

pytestmark = pytest.mark.anyio

GAMES = 24


class Reader:
    """Somebody who reads a game's ledger in pages of a size, while it is written."""

    def __init__(self, client: httpx.AsyncClient, path: str, token: str, **query: Any) -> None:
        self._client, self._path, self._token, self._query = client, path, token, query
        self._next: int | None = 0
        self._after = 0
        self.entries: list[dict[str, Any]] = []
        self.balances: list[dict[str, Any]] = []

    async def read(self, pages: int = 1_000) -> None:
        """The next pages, up to the last for now; what comes after it is read the next time."""
        while pages > 0:
            query = {"after": self._after, **self._query}
            response = await self._client.get(self._path, params=query, headers=bearer(self._token))
            assert response.status_code == 200, response.text
            page = response.json()
            self.entries += page["entries"]
            self.balances = page["balances"]
            self._after = self.entries[-1]["id"] if self.entries else 0
            assert page["next"] in {None, self._after}
            pages -= 1
            if page["next"] is None:
                return


async def kept(database: Database, played: Played, steps: list[Line | int], until: int = 0) -> None:
    """These lines, and at an instant that is named the host's end, are committed together; then time goes on."""
    async with database.transaction() as transaction:
        game = played.game = await games.lock(transaction, played.game.session_id)
        for step in steps:
            if isinstance(step, int):
                game.end(step)
            else:
                happen(played, step)
        game.advance(until)
        await games.keep(transaction, game)


async def made(database: Database, seed: int, running: bool) -> tuple[Played, list[Line | int]]:
    """A game that began in the past, and all that happens in it; in one that is running, up to this moment."""
    chance = random.Random(seed)
    local = a_random_game(seed).reference
    last = max([line.at for line in local.log], default=local.setting.starts_at)
    async with database.transaction() as transaction:
        now = await now_ms(transaction.connection)
        begins = now - (chance.randint(0, last) if running else 10_000_000)
        setting = replace(local.setting, starts_at=begins + local.setting.starts_at)
        log = [replace(line, at=begins + line.at) for line in local.log if begins + line.at <= now]
        end_at = None if local.end_at is None or begins + local.end_at > now else begins + local.end_at
        game = lobby_of(setting, begins)
        await teams.insert_team(transaction, game.team_id, game.team_id.hex, game.team_name, begins)
        await saving.create_game(transaction, game)
        game = await games.lock(transaction, game.session_id)
        game.start(begins)
        await games.keep(transaction, game)
    before = [line for line in log if end_at is None or line.at < end_at]
    steps: list[Line | int] = [*before, *([] if end_at is None else [end_at]), *log[len(before) :]]
    return Played(Reference(setting, log, end_at).play(), game, Puzzles(game.session_id), chance), steps


async def explained(
    database: Database, client: httpx.AsyncClient, app: FastAPI, seed: int, running: bool
) -> tuple[int, int]:
    """Read a game's pages, everybody's and each player's, while it goes on. Returns entries and points left."""
    played, steps = await made(database, seed, running)
    game = played.game
    token = app.state.signer.sign(game.team_id, game.team_id, Role.HOST)
    path = f"/sessions/{game.session_id}/ledger"
    size = played.chance.randint(1, 4)
    whole = Reader(client, path, token, limit=size)
    own = [Reader(client, path, token, limit=size, player_id=str(seat.player_id)) for seat in game.seats]
    half = played.chance.randint(0, len(steps))
    await kept(database, played, steps[:half])
    for reader in (whole, *own):
        await reader.read(played.chance.randint(0, 2))
    await kept(database, played, steps[half:], 0 if running else played.reference.setting.starts_at + 9_000_000)
    for reader in (whole, *own):
        await reader.read()
    for place, reader in enumerate(own):
        compare(played.reference, place, reader)
        assert [e for e in whole.entries if e["player_id"] == str(game.seats[place].player_id)] == reader.entries
    assert {e["kind"] for e in whole.entries if e["player_id"] is None} <= {"void"}
    assert sorted(b["player_id"] for b in whole.balances) == sorted(b["player_id"] for r in own for b in r.balances)
    return len(whole.entries), sum(balance["points"] for balance in whole.balances)


def compare(reference: Reference, place: int, reader: Reader) -> None:
    """Amounts less what decayed are the points that the model has: after each entry, and in the end."""
    points = 0
    for number, entry in enumerate(reader.entries):
        points += entry["amount"] - entry["decayed"]
        assert points == entry["points"]
        if entry["at"] not in {later["at"] for later in reader.entries[number + 1 :]}:
            assert points == reference.points_at(entry["at"])[place]
    if not reader.entries:
        assert reader.balances == []
        return
    [balance] = reader.balances
    assert points - balance["decayed"] == balance["points"] == reference.points_at(balance["at"])[place]


@pytest.mark.parametrize("running", [True, False], ids=["running", "over"])
async def test_every_point_of_every_player_is_explained(
    client: httpx.AsyncClient, database: Database, app: FastAPI, running: bool
) -> None:
    seen = [await explained(database, client, app, seed, running) for seed in range(GAMES)]
    assert sum(entries > 8 for entries, _ in seen) > 3, seen
    assert any(left > 0 for _, left in seen), seen
