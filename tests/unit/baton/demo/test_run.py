import asyncio
from pathlib import Path

import pytest

from baton.demo.run import BadRulesError, parse_rules
from baton.demo.system import running_address
from baton.demo.team import Gate
from baton.ports import any_free


def test_rules_are_a_json_object_or_absent() -> None:
    assert parse_rules(None) is None
    assert parse_rules('{"seats": 2}') == {"seats": 2}


@pytest.mark.parametrize("text", ["", "seats=2", "[1]", '"x"', "{"])
def test_other_rules_are_refused(text: str) -> None:
    with pytest.raises(BadRulesError, match="--rules"):
        parse_rules(text)


def test_nothing_runs_where_nothing_was_started(tmp_path: Path) -> None:
    assert running_address(tmp_path) is None


def test_an_address_where_nobody_answers_is_of_something_that_died(tmp_path: Path) -> None:
    (tmp_path / "address").write_text(f"http://127.0.0.1:{any_free()}")
    assert running_address(tmp_path) is None


async def test_an_address_that_answers_is_used(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        (tmp_path / "address").write_text(address)
        assert await asyncio.to_thread(running_address, tmp_path) == address


async def test_the_gate_opens_when_the_last_has_arrived() -> None:
    gate = Gate(2)
    waiting = asyncio.create_task(gate.wait())
    gate.arrive()
    done, _ = await asyncio.wait({waiting}, timeout=0.05)
    assert not done
    gate.arrive()
    async with asyncio.timeout(5):
        await waiting
