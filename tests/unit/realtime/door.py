"""Visits with fakes of all that they need."""

import asyncio
from collections.abc import Callable
from typing import Any, cast
from uuid import uuid4

from contracts.frames import Answer, Join, encode
from contracts.ids import PlayerId, RoomSeq, SessionId, TeamId
from services.kit.tokens import DEVELOPMENT_PRIVATE_KEY, Identity, Role, Signer, Verifier, public_key_of
from services.realtime.answers import Reply
from services.realtime.connection import Connection
from services.realtime.entrance import Entrance
from services.realtime.inbound import Outlets
from services.realtime.limits import Limits
from services.realtime.presence import Presence
from services.realtime.reading import Position
from services.realtime.room import Room
from services.realtime.settings import RealtimeSettings
from services.realtime.visit import Visit, Visits
from services.realtime.visitor import Visitor
from tests.unit.realtime.fakes import FakeWire, event

PING = b'{"type": "ping", "id": %d}'
SETTINGS = RealtimeSettings(max_connections_per_token=2)


class FakeSocket(FakeWire):
    """A socket whose handshake is done."""

    def __init__(self) -> None:
        super().__init__()
        self.last_ping_rtt = 0.0
        self.visitor: Visitor | None = None

    def take_over(self, visitor: Visitor) -> None:
        self.visitor = visitor

    def go(self) -> None:
        assert self.visitor is not None
        self.gone = True
        self.visitor.lost()


class FakeEntrance:
    """Lets everybody in as soon as it is `open`, unless there is an `error`."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.open = asyncio.Event()
        self.open.set()
        self.error: Exception | None = None
        self.asked: list[tuple[SessionId, Identity, Join]] = []

    async def enter(self, member: Connection, session_id: SessionId, identity: Identity, join: Join) -> Room:
        self.asked.append((session_id, identity, join))
        await self.open.wait()
        if self.error is not None:
            raise self.error
        with self.room.joining():
            assert self.room.admit(member, identity.subject, Position("e", RoomSeq(3)), [event(3)])
        return self.room


class FakePresence:
    def __init__(self) -> None:
        self.there: list[PlayerId] = []

    def join(self, _: SessionId, identity: Identity) -> None:
        self.there.append(identity.subject)

    def leave(self, _: SessionId, identity: Identity) -> None:
        self.there.remove(identity.subject)


class Nowhere:
    """Where players' words and answers go, of which these tests send none."""

    def publish(self, session_id: SessionId, frame: bytes) -> None:
        raise AssertionError

    def give(self, token: str, answer: Answer, reply: Reply) -> None:
        raise AssertionError


class Door:
    """Visits with everything that they need, and clients who come."""

    def __init__(self, settings: RealtimeSettings = SETTINGS) -> None:
        self.team_id = TeamId(uuid4())
        self.room = Room(SessionId(uuid4()), lambda _: None, lambda _: None)
        self.entrance = FakeEntrance(self.room)
        self.presence = FakePresence()
        self.limits = Limits(settings)
        nowhere, verifier = Nowhere(), Verifier([public_key_of(DEVELOPMENT_PRIVATE_KEY)])
        self.visits = Visits(
            settings,
            verifier,
            cast(Entrance, self.entrance),
            self.limits,
            cast(Presence, self.presence),
            Outlets(nowhere, nowhere, verifier, settings.max_frame_bytes),
        )

    def token(self, player_id: PlayerId | None = None, life_s: int = 600) -> str:
        signer = Signer(DEVELOPMENT_PRIVATE_KEY, life_s)
        return signer.sign(player_id or PlayerId(uuid4()), self.team_id, Role.PLAYER)

    def come(self, *, session_id: str | None = None, offered: str | None = None) -> tuple[FakeSocket, Visit]:
        socket = FakeSocket()
        self.visits.begin(socket, session_id or str(self.room.session_id), "10.0.0.1", offered)
        assert isinstance(socket.visitor, Visit)
        return socket, socket.visitor

    async def let_in(self, player_id: PlayerId | None = None) -> tuple[FakeSocket, Visit]:
        socket, visit = self.come()
        visit.receive(self.join(player_id))
        await settled(lambda: visit.room is not None)
        return socket, visit

    def join(self, player_id: PlayerId | None = None, **more: Any) -> bytes:
        return encode(Join(**{"token": self.token(player_id), **more}))


async def settled(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0)
