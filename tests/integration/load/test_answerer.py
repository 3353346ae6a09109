"""The load client of bench-answers says that nothing was lost, so it has to notice when something was."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from websockets.sync.server import ServerConnection, serve

from tests.load.commanded import Commanded, commanded
from tests.load.machine import BENCH, BenchError
from tests.load.tools import compile_tools

SEATS = 4
WINDOW_US = 300_000

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="the load client is written in C")


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    compile_tools()


class Liar:
    """A gateway and a puzzle service that take every answer, and tell a team of it as a test wants."""

    def __init__(self) -> None:
        self.sockets: list[ServerConnection] = []
        self.seqs = [1] * SEATS
        self.answered = 0
        self.tell: Callable[[Liar, str], None] = lambda liar, puzzle_id: liar.award(puzzle_id)
        self.given: set[str] = set()
        self._lock = threading.Lock()

    def join(self, connection: ServerConnection) -> None:
        connection.recv()
        self.sockets.append(connection)
        connection.send('{"type":"snapshot","seq":1,"state":{}}')
        list(connection)  # until the client goes

    def award(self, puzzle_id: str, seats: int = SEATS, skipped: int = 0) -> None:
        """Tell so many of the team's sockets; with `skipped`, as if there had been other events before."""
        for seat, connection in list(enumerate(self.sockets))[:seats]:
            self.seqs[seat] += 1 + skipped
            data = f'"data":{{"puzzle_id":"{puzzle_id}","amount":5}}'
            connection.send(f'{{"seq":{self.seqs[seat]},"type":"points.awarded","at":1,{data}}}')

    def take(self, puzzle_id: str, answer: dict[str, Any]) -> dict[str, Any]:
        assert answer == {"answer": {"colour": "blue"}}
        with self._lock:
            self.answered += 1
            self.tell(self, puzzle_id)
        return {"puzzle_id": puzzle_id, "verdict": "solved", "next": puzzle()}


def puzzle() -> dict[str, Any]:
    view = {"mapping": {"1": "red", "2": "blue"}, "question": 2, "choices": ["red", "blue"]}
    return {"puzzle_id": str(uuid4()), "type": "memory", "view": view}


def _handler(liar: Liar) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # the whole response in one piece

        def do_GET(self) -> None:
            self._respond({"puzzle": puzzle()})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._respond(liar.take(self.path.split("/")[2], body))

        def _respond(self, body: dict[str, Any]) -> None:
            text = json.dumps(body, separators=(",", ":")).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
            """Say nothing."""

    return Handler


@contextmanager
def _load(liar: Liar, folder: Path) -> Iterator[Commanded]:
    gateway = serve(liar.join, "127.0.0.1", 0, subprotocols=["baton.v1"], compression=None)  # type: ignore[list-item]
    puzzles = ThreadingHTTPServer(("127.0.0.1", 0), _handler(liar))
    threads = [threading.Thread(target=server.serve_forever, daemon=True) for server in (gateway, puzzles)]
    for thread in threads:
        thread.start()
    plan = folder / "players"
    plan.write_text("".join(f"/ws\t{{}}\t{uuid4()}\ttoken\n" for _ in range(SEATS)))
    ports = [gateway.socket.getsockname()[1], puzzles.server_port]
    try:
        with commanded(Commanded, [str(BENCH / "answerer"), *map(str, ports), str(plan)], folder / "log") as load:
            assert load.ask("open", 10) == {"sockets": SEATS}
            yield load
    finally:
        gateway.shutdown()
        puzzles.shutdown()
        puzzles.server_close()
        for thread in threads:
            thread.join()


def _played(liar: Liar, folder: Path, how: str = "closed 1") -> dict[str, Any]:
    with _load(liar, folder) as load:
        now = time.monotonic_ns() // 1000
        return load.ask(f"{how} {now} {now + WINDOW_US}", 20)


def test_answers_whose_awards_reach_the_whole_team_are_done(tmp_path: Path) -> None:
    liar = Liar()
    counted = _played(liar, tmp_path)
    assert counted["accepted"] == liar.answered > 1
    assert liar.answered - 1 <= counted["done"] <= liar.answered  # the last one may be done after the time
    assert (counted["lost"], counted["strays"], counted["gaps"]) == (0, 0, 0)
    assert 0 <= counted["p50_accepted_ms"] <= counted["p50_sent_ms"]


def test_answers_come_at_the_given_rate(tmp_path: Path) -> None:
    liar = Liar()
    counted = _played(liar, tmp_path, "paced 50")
    assert 12 <= counted["accepted"] == liar.answered <= 16


def test_an_award_that_one_socket_does_not_hear_of_is_lost(tmp_path: Path) -> None:
    liar = Liar()
    liar.tell = lambda liar, puzzle_id: liar.award(puzzle_id, seats=SEATS - 1)
    counted = _played(liar, tmp_path)
    assert (counted["accepted"], counted["done"], counted["lost"]) == (1, 0, 1)


def test_an_award_that_comes_twice_is_a_stray(tmp_path: Path) -> None:
    liar = Liar()

    def twice(liar: Liar, puzzle_id: str) -> None:
        liar.award(puzzle_id)
        liar.award(puzzle_id)

    liar.tell = twice
    counted = _played(liar, tmp_path)
    assert counted["strays"] == SEATS * liar.answered
    assert counted["gaps"] == 0


def test_a_missing_number_is_a_gap(tmp_path: Path) -> None:
    liar = Liar()
    liar.tell = lambda liar, puzzle_id: liar.award(puzzle_id, skipped=1)
    counted = _played(liar, tmp_path)
    assert counted["gaps"] == SEATS * liar.answered


def test_an_answer_that_is_refused_ends_the_measurement(tmp_path: Path) -> None:
    liar = Liar()
    liar.take = lambda puzzle_id, answer: {"verdict": "failed"}  # type: ignore[method-assign]
    with pytest.raises(BenchError, match="an answer was not accepted"):
        _played(liar, tmp_path)
