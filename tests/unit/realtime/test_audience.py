from collections.abc import Iterator

import pytest

from contracts.ids import RoomSeq
from services.realtime.audience import Audience
from services.realtime.close_codes import Close
from services.realtime.connection import Connection
from tests.unit.realtime.fakes import PipedWire, batch, ephemeral, event

LARGE = 1 << 19
"""More than a socket takes at once."""


class Client:
    """Somebody in the audience, who has all events up to 7."""

    def __init__(self, audience: Audience) -> None:
        self.audience = audience
        self.wire = PipedWire()
        self.connection = Connection(self.wire, LARGE * 4)
        self.connection.begin(RoomSeq(7), [])
        audience.add(self.connection)

    @property
    def texts(self) -> list[str]:
        return [text.strip() for text in self.wire.texts]

    def leave(self) -> None:
        self.connection.lost()
        self.audience.remove(self.connection)
        self.wire.gone = True


@pytest.fixture
async def audience() -> Audience:
    audience = Audience()
    audience.restart(RoomSeq(7))
    return audience


@pytest.fixture
def clients(audience: Audience) -> Iterator[list[Client]]:
    clients = [Client(audience) for _ in range(3)]
    yield clients
    for client in clients:
        client.leave()
        client.wire.free()


async def test_everybody_is_written_each_batch_in_order(audience: Audience, clients: list[Client]) -> None:
    audience.deliver(batch(event(8)))
    audience.deliver(batch(ephemeral("tick")))
    audience.deliver(batch(event(9), ephemeral("tock"), event(10)))
    assert [client.texts for client in clients] == [["8", "tick", "9", "tock", "10"]] * 3


async def test_who_is_in_step_is_written_to_past_the_transport(audience: Audience, clients: list[Client]) -> None:
    audience.deliver(batch(event(8)))
    written = [len(client.wire.writes) for client in clients]
    audience.deliver(batch(event(9)))
    assert [len(client.wire.writes) for client in clients] == written
    assert [client.texts for client in clients] == [["8", "9"]] * 3


async def test_what_a_socket_does_not_take_at_once_is_left_to_its_transport(
    audience: Audience, clients: list[Client]
) -> None:
    audience.deliver(batch(event(8)))
    audience.deliver(batch(event(9, size=LARGE)))  # a part is taken
    audience.deliver(batch(event(10)))
    assert [client.texts for client in clients] == [["8", "9", "10"]] * 3


async def test_who_takes_nothing_is_queued_for_and_then_goes_on(audience: Audience, clients: list[Client]) -> None:
    slow = clients[1]
    audience.deliver(batch(event(8)))
    slow.connection.pause()
    audience.deliver(batch(event(9), ephemeral("tick")))
    assert slow.texts == ["8"]
    slow.connection.resume()
    audience.deliver(batch(event(10)))
    audience.deliver(batch(event(11)))
    assert [client.texts for client in clients] == [["8", "9", "tick", "10", "11"]] * 3


async def test_a_client_that_has_hung_up_spoils_no_other(audience: Audience, clients: list[Client]) -> None:
    audience.deliver(batch(event(8)))
    clients[0].wire.drain()
    clients[0].wire.hang_up()
    audience.deliver(batch(event(9)))
    assert [client.texts for client in clients[1:]] == [["8", "9"]] * 2


async def test_nothing_is_written_behind_a_close_or_to_who_has_gone(audience: Audience, clients: list[Client]) -> None:
    audience.deliver(batch(event(8)))
    clients[0].connection.close(Close.SERVICE_RESTART)
    clients[1].leave()
    audience.deliver(batch(event(9)))
    assert [client.texts for client in clients] == [["8"], ["8"], ["8", "9"]]


async def test_who_has_more_than_the_others_is_not_told_it_again(audience: Audience, clients: list[Client]) -> None:
    clients[0].connection.begin(RoomSeq(9), [])
    for seq in (8, 9, 10, 11):
        audience.deliver(batch(event(seq)))
    assert [client.texts for client in clients] == [["10", "11"], ["8", "9", "10", "11"], ["8", "9", "10", "11"]]
