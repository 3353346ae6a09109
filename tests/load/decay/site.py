"""So many games in the middle of their play, in a database that writes to disk what it confirms, and in Valkey."""

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import redis

from baton.server import ServerError
from baton.servers import Postgres, Valkey
from contracts.channels import WATCHED_SHARDS, shard_of, watched_rooms
from contracts.ids import SessionId
from contracts.rooms import encode
from contracts.rules import Rules
from services.kit.clock import local_ms
from services.kit.database import Database
from services.kit.migrate import migrate
from services.kit.rooms import EVENTS_KEPT, SCRIPT, SHA, TIME_TO_LIVE_MS
from services.points import models
from services.points.domain.views import encode_schedule, encode_state
from services.points.repository.games import GAMES, find_games
from tests.load.machine import BENCH, BenchError
from tests.load.rooms import frame_tail, make_rooms

SEED = Path(__file__).with_name("seed.sql")
SEATS = 4
READ_AT_ONCE = 1_000
LARGE = {"shared_buffers": "2GB", "max_wal_size": "8GB"}
"""Postgres as anybody runs it who has a million players: its defaults are for a machine of 512 MB."""
AT_ONCE = 10**9
"""Messages a second, for the publisher: as fast as they are taken."""


@dataclass(frozen=True)
class Size:
    """How many sessions there are, and how many players fall in the interval: one a session."""

    sessions: int
    falling: int

    @property
    def players(self) -> int:
        return self.sessions * SEATS


@contextmanager
def servers(folder: Path) -> Iterator[tuple[Postgres, Valkey]]:
    """Postgres that writes what it confirms to disk, and a Valkey that keeps nothing there, which is not measured."""
    try:
        with Postgres(folder / "postgres", settings=LARGE) as postgres, Valkey(folder / "valkey") as valkey:
            with redis.Redis(port=valkey.port) as client:
                client.config_set("appendonly", "no")
            yield postgres, valkey
    except ServerError as error:
        raise BenchError(str(error)) from error


class Site:
    """One size's games. What is told of the database is read by nobody else meanwhile."""

    def __init__(self, postgres: Postgres, valkey: Valkey, folder: Path, size: Size) -> None:
        self.size = size
        self.valkey = valkey
        self._postgres = postgres
        self._folder = folder
        self._name = f"games_{size.sessions}"
        self.url = postgres.url_of(self._name)

    def query(self, statement: str, parameters: dict[str, Any] | None = None) -> Any:
        """The first value of what comes of a statement, if anything does."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters)
            row = cursor.fetchone() if cursor.description else None
            return None if row is None else row[0]

    def make_games(self) -> None:
        """A database full of them."""
        with psycopg.connect(self._postgres.url_of("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {self._name}".encode())
        migrate(self.url)
        puzzle = msgspec.json.decode(make_rooms(1)[0].state)["players"][0]["puzzle"]
        parameters = {
            "now_ms": local_ms(),
            "sessions": self.size.sessions,
            "falling": self.size.falling,
            "rules": encode(Rules()).decode(),
            "puzzle": encode(puzzle),
        }
        with psycopg.ClientCursor(psycopg.connect(self.url, autocommit=True)) as cursor:
            cursor.execute(SEED.read_bytes(), parameters)
            cursor.connection.close()
        self.query("VACUUM ANALYZE")
        self.query("CHECKPOINT")

    def floor_update_s(self) -> float:
        """How long it takes to take a point from everybody in a plain table."""
        began = time.monotonic()
        self.query("UPDATE public.plain SET points = points - 1")
        took = time.monotonic() - began
        self.query("DROP TABLE public.plain")
        self.query("CHECKPOINT")
        return took

    def make_rooms(self) -> float:
        """All rooms, by the room script. Returns how many a second it told."""
        self.valkey.flush()
        lines = self._folder / "rooms"
        asyncio.run(self._write_rooms(lines))
        with redis.Redis(port=self.valkey.port) as client:
            client.script_load(SCRIPT)
        words = [str(lines), frame_tail(), "0", str(AT_ONCE), str(self.size.sessions), "1"]
        epoch = self.query("SELECT epoch FROM points.epoch")
        script = ["script", SHA, epoch, str(EVENTS_KEPT), str(TIME_TO_LIVE_MS)]
        told = subprocess.run(
            [str(BENCH / "publisher"), str(self.valkey.port), *words, *script],
            capture_output=True,
            text=True,
            check=False,
        )
        lines.unlink()
        if told.returncode != 0 or (found := json.loads(told.stdout))["refused"]:
            raise BenchError(f"the rooms were not told: {told.stderr or told.stdout}")
        return self.size.sessions / float(found["took_us"]) * 1e6

    async def _write_rooms(self, lines: Path) -> None:
        """States and schedules, made by the points service's own code, for the publisher."""
        database = Database(self.url, "baton_points", pool_size=1)
        try:
            async with database.transaction(snapshot=True) as transaction:
                rows = await transaction.connection.exec_driver_sql("SELECT session_id FROM points.sessions")
                ids = [SessionId(row[0]) for row in rows]
                with lines.open("w") as file:
                    for start in range(0, len(ids), READ_AT_ONCE):
                        these = models.Session.session_id.in_(ids[start : start + READ_AT_ONCE])
                        for game in (await find_games(transaction, GAMES.where(these))).values():
                            state, schedule = encode_state(game).decode(), encode_schedule(game).hex()
                            file.write(f"{game.session_id}\t{state}\t{schedule}\n")
        finally:
            await database.close()
        self._watch(ids)

    def _watch(self, ids: list[SessionId]) -> None:
        """Somebody is in every room: the worst case."""
        shards: dict[int, dict[str, float]] = {shard: {} for shard in range(WATCHED_SHARDS)}
        for session_id in ids:
            shards[shard_of(session_id)][str(session_id)] = local_ms() + 3_600_000
        with redis.Redis(port=self.valkey.port) as client:
            for shard, watched in shards.items():
                if watched:
                    client.zadd(watched_rooms(shard), watched)

    def rows_written(self) -> int:
        """All rows that were inserted, updated or deleted in the services' tables up to now."""
        return int(
            self.query(
                "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables"
                " WHERE schemaname IN ('points', 'puzzle')"
            )
        )

    def drop(self) -> None:
        """The disk is free again."""
        with psycopg.connect(self._postgres.url_of("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {self._name} WITH (FORCE)".encode())
