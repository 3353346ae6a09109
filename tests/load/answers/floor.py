"""The floor: pgbench with the same two transactions, on the same server, in a database of its own."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import psycopg

from baton.servers import Postgres
from services.kit.migrate import migrate
from tests.load.machine import BenchError

NAME = "floor"
SESSIONS = 1_000
SCRIPT = Path(__file__).with_name("floor.sql")

_FILL = f"""
    INSERT INTO points.teams SELECT pg_temp.id(n), n::text, 'Otters', 0 FROM generate_series(1, {SESSIONS}) n;
    INSERT INTO points.sessions (session_id, team_id, status, rules, seed, created_at, seq, settled_at, puzzle_version,
                                 sent_version)
      SELECT pg_temp.id(n), pg_temp.id(n), 'active', '{{}}', 1, 0, 0, 0, 0, 0 FROM generate_series(1, {SESSIONS}) n;
    INSERT INTO points.seats (session_id, player_id, seat, name, colour, ready, base, solved, failed, expired)
      SELECT pg_temp.id(n), pg_temp.id(n * 4 + s), s, 'Player', '#e4572e', true, 15, 0, 0, 0
      FROM generate_series(1, {SESSIONS}) n, generate_series(0, 3) s;
    INSERT INTO puzzle.sessions (session_id, team_id, status, puzzle_types, difficulty, seed, starts_at, points_version,
                                 version, last_at, dealt)
      SELECT pg_temp.id(n), pg_temp.id(n), 'active', '{{memory}}', 1, 1, 0, 0, 0, 0, 0
      FROM generate_series(1, {SESSIONS}) n;
    INSERT INTO puzzle.players SELECT pg_temp.id(n), pg_temp.id(n * 4 + s)
      FROM generate_series(1, {SESSIONS}) n, generate_series(0, 3) s;
    INSERT INTO puzzle.puzzles (puzzle_id, session_id, player_id, type, type_version, difficulty, seed, view, hidden,
                                status, opened_at, deadline)
      SELECT gen_random_uuid(), session_id, player_id, 'memory', 1, 1, 1,
        '{{"mapping": {{"1": "red", "2": "blue", "3": "green"}}, "reveal_ms": 6000, "question": 2,
          "choices": ["red", "blue", "green"]}}', '{{"colour": "blue"}}', 'open', 0, 16000 FROM puzzle.players;
"""  # noqa: S608 (our own numbers)
_ID = "CREATE FUNCTION pg_temp.id(n bigint) RETURNS uuid LANGUAGE sql AS $$ SELECT lpad(to_hex(n), 32, '0')::uuid $$"


@dataclass(frozen=True, slots=True)
class FloorRun:
    """What pgbench came to."""

    per_s: float
    p50_ms: float
    p99_ms: float


class Floor:
    """A database like Baton's, with games in it, and pgbench."""

    def __init__(self, postgres: Postgres, folder: Path) -> None:
        self._postgres = postgres
        self._folder = folder

    def run(self, clients: int, seconds: int) -> FloorRun:
        """Both transactions again and again, by so many clients. Raises BenchError."""
        prefix = self._folder / f"pgbench-{clients}"
        words = [
            *(
                str(self._postgres.programs / "pgbench"),
                "-h",
                "127.0.0.1",
                "-p",
                str(self._postgres.port),
                "-U",
                "baton",
            ),
            *("-n", "-M", "prepared", "-f", str(SCRIPT), "-D", f"sessions={SESSIONS}"),
            *("-c", str(clients), "-j", "1", "-T", str(seconds), "--log", "--log-prefix", str(prefix), NAME),
        ]
        password = (self._postgres.home / "password").read_text()
        done = subprocess.run(
            words, env=os.environ | {"PGPASSWORD": password}, capture_output=True, text=True, check=False
        )
        rate = re.search(r"tps = ([0-9.]+)", done.stdout)
        if done.returncode != 0 or rate is None:
            raise BenchError(f"pgbench failed:\n{done.stderr[-2000:]}")
        [log] = self._folder.glob(f"{prefix.name}.*")
        latencies = quantiles((int(line.split()[2]) / 1000 for line in log.read_text().splitlines()), n=100)
        return FloorRun(float(rate[1]), latencies[49], latencies[98])


@contextmanager
def floor(postgres: Postgres, folder: Path) -> Iterator[Floor]:
    """The floor on this server, to the end of the block."""
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {NAME}".encode())
    url = postgres.url_of(NAME)
    migrate(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_ID.encode())
        connection.execute(_FILL.encode())
        connection.execute(b"ANALYZE")
    yield Floor(postgres, folder)
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {NAME}".encode())
