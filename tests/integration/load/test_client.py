"""The load client is what says that nothing was lost, so it has to notice when something was."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from websockets.sync.server import Server, ServerConnection, serve

from tests.load.crowd import Crowd, Manners, Seat, crowd
from tests.load.tools import compile_tools

RATE = 10
TOTAL = 5
LEAD_US = 300_000
GRACE_US = 400_000

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="the load client is written in C")


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    compile_tools()


class Liar:
    """A server that lets everybody in, and sends what a test wants when it is due."""

    def __init__(self) -> None:
        self.start_us = 0
        self.script: Callable[[Liar, ServerConnection], None] = lambda liar, connection: None
        self.told = threading.Event()

    def serve(self, connection: ServerConnection) -> None:
        connection.send('{"joined":true}')
        self.told.wait(10)
        self.script(self, connection)
        connection.socket.setblocking(True)
        list(connection)  # until the client goes

    def frame(self, seq: int) -> bytes:
        """The raw frame of message `seq`, which is due (seq - 1) / RATE after the start."""
        due = self.start_us + (seq - 1) * 1_000_000 // RATE
        text = f'{{"seq":{seq},"t":{due},"type":"points.awarded","data":{{"padding":"{"x" * 100}"}}}}'.encode()
        return bytes([0x81, 126]) + len(text).to_bytes(2, "big") + text

    def send_when_due(self, connection: ServerConnection, *seqs: int, late_s: float = 0.0) -> None:
        """Send these, in this order, when the last of them is due."""
        due = self.start_us / 1e6 + (max(seqs) - 1) / RATE + late_s
        time.sleep(max(0.0, due - time.monotonic()))
        connection.socket.sendall(b"".join(map(self.frame, seqs)))


@contextmanager
def _listening(handler: Callable[[ServerConnection], None]) -> Iterator[Server]:
    with serve(handler, "127.0.0.1", 0, compression=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def _measured(folder: Path, script: Callable[[Liar, ServerConnection], None], clients: int = 1) -> dict[str, Any]:
    liar = Liar()
    liar.script = script
    with _listening(liar.serve) as server:
        port = server.socket.getsockname()[1]
        seats = [Seat(0, "/") for _ in range(clients)]
        with crowd(port, seats, Manners(mark='"joined"'), folder, at_once=8) as those:
            assert those.open()["connections"] == clients
            return _count(liar, those)


def _count(liar: Liar, clients: Crowd) -> dict[str, Any]:
    liar.start_us = start = time.monotonic_ns() // 1000 + LEAD_US
    end = start + TOTAL * 1_000_000 // RATE
    clients.measure([start, RATE, TOTAL, 1, start, end, end + GRACE_US], [psutil.Process().pid])
    liar.told.set()
    return clients.measured(within=10)


def _in_order(liar: Liar, connection: ServerConnection) -> None:
    for seq in range(1, TOTAL + 1):
        liar.send_when_due(connection, seq)


def test_what_came_in_order_is_counted_for_every_client(tmp_path: Path) -> None:
    found = _measured(tmp_path, _in_order, clients=3)

    assert (found["expected"], found["delivered"]) == (15, 15)
    assert (found["gaps"], found["doubled"], found["closed"]) == (0, 0, 0)
    assert found["cpu_us"] > 0


def test_a_missing_message_is_lost_and_a_gap(tmp_path: Path) -> None:
    found = _measured(tmp_path, lambda liar, connection: liar.send_when_due(connection, 1, 2, 4, 5))

    assert (found["expected"], found["delivered"], found["gaps"]) == (5, 4, 1)


def test_a_missing_last_message_is_lost_though_it_leaves_no_gap(tmp_path: Path) -> None:
    found = _measured(tmp_path, lambda liar, connection: liar.send_when_due(connection, 1, 2, 3, 4))

    assert (found["expected"], found["delivered"], found["gaps"]) == (5, 4, 0)


def test_a_doubled_message_is_counted_once(tmp_path: Path) -> None:
    found = _measured(tmp_path, lambda liar, connection: liar.send_when_due(connection, 1, 2, 2, 3, 4, 5))

    assert (found["delivered"], found["doubled"]) == (5, 1)


def test_messages_in_the_wrong_order_are_noticed(tmp_path: Path) -> None:
    found = _measured(tmp_path, lambda liar, connection: liar.send_when_due(connection, 1, 3, 2, 4, 5))

    assert (found["delivered"], found["gaps"], found["doubled"]) == (4, 1, 1)


def test_frames_that_come_in_pieces_are_put_together(tmp_path: Path) -> None:
    def in_pieces(liar: Liar, connection: ServerConnection) -> None:
        for seq in range(1, TOTAL + 1):
            for byte in liar.frame(seq):
                connection.socket.sendall(bytes([byte]))

    found = _measured(tmp_path, in_pieces)

    assert (found["delivered"], found["gaps"], found["doubled"]) == (5, 0, 0)


def test_latency_counts_from_the_instant_at_which_a_message_was_due(tmp_path: Path) -> None:
    def late(liar: Liar, connection: ServerConnection) -> None:
        for seq in range(1, TOTAL + 1):
            liar.send_when_due(connection, seq, late_s=0.05)

    found = _measured(tmp_path, late)

    assert found["delivered"] == 5
    assert found["p50_ms"] >= 49


def test_a_client_that_is_cut_off_is_counted_with_the_code_of_the_close(tmp_path: Path) -> None:
    def cut(liar: Liar, connection: ServerConnection) -> None:
        liar.send_when_due(connection, 1)
        connection.close(4000, "slow_consumer")

    found = _measured(tmp_path, cut)

    assert (found["delivered"], found["closed"], found["close_code"]) == (1, 1, 4000)


def test_a_client_that_is_told_to_come_back_does(tmp_path: Path) -> None:
    visits: list[int] = []

    def refuse_once(connection: ServerConnection) -> None:
        visits.append(len(visits))
        if len(visits) == 1:
            connection.close(4001, "room_unavailable")
        else:
            connection.send('{"joined":true}')
        list(connection)

    with (
        _listening(refuse_once) as server,
        crowd(server.socket.getsockname()[1], [Seat(0, "/")], Manners(mark='"joined"'), tmp_path, at_once=1) as those,
    ):
        opened = those.open()

    assert (opened["connections"], opened["sent_back"], len(visits)) == (1, 1, 2)
    assert opened["p50_ms"] >= 490
