import socket
from collections.abc import Iterator

import pytest

from baton.ports import QUIET, PortTakenError, any_free, choose, is_free, next_free

HOST = "127.0.0.1"


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server((HOST, 0)) as server:
        port: int = server.getsockname()[1]
        yield port


def test_a_port_somebody_listens_on_is_not_free(taken: int) -> None:
    assert not is_free(taken, HOST)


def test_some_port_is_free_and_none_that_the_system_gives_out() -> None:
    found = {any_free() for _ in range(20)}
    assert len(found) > 10
    assert all(port in QUIET and is_free(port, HOST) for port in found)


def test_without_insisting_the_next_free_port_is_taken(taken: int) -> None:
    first, *_ = choose(taken, HOST, 3, insist=False)
    assert first > taken
    assert is_free(first, HOST)


def test_who_insists_on_a_used_port_is_told_which_it_is(taken: int) -> None:
    with pytest.raises(PortTakenError, match=f"port {taken} of {HOST} is used by another program"):
        choose(taken, HOST, 3, insist=True)


def test_who_insists_on_a_free_port_gets_it() -> None:
    wanted = any_free()
    assert choose(wanted, HOST, 3, insist=True)[0] == wanted


def test_all_chosen_ports_differ() -> None:
    assert len(set(choose(any_free(), HOST, 3, insist=False))) == 3


def test_ports_that_are_spoken_for_are_passed_over() -> None:
    wanted = any_free()
    assert next_free(wanted, HOST, besides=frozenset({wanted})) > wanted


def test_past_the_last_port_there_is_none() -> None:
    with pytest.raises(PortTakenError):
        next_free(65_536, HOST)
