"""Clients that follow the protocol to the letter, and tell what they were told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from contracts import replay
from contracts.frames import (
    FromClient,
    Join,
    NumberedEvent,
    Snapshot,
    ToClient,
    Welcome,
    decode_frame,
    encode,
)
from contracts.ids import PlayerId, RoomSeq, SessionId, TeamId
from contracts.rooms import State, decode_state
from services.kit.tokens import DEVELOPMENT_PRIVATE_KEY, Role, Signer
from tests.integration.realtime.points import Session

PATIENCE_S = 30.0
FrameT = TypeVar("FrameT")


def token_for(
    team_id: TeamId, *, player_id: PlayerId | None = None, role: Role | None = None, life_s: int = 600
) -> str:
    """A token of that player, or else of some spectator, unless another role is asked for."""
    role = role or (Role.SPECTATOR if player_id is None else Role.PLAYER)
    return Signer(DEVELOPMENT_PRIVATE_KEY, life_s).sign(player_id or PlayerId(uuid4()), team_id, role)


class Client:
    """A client that has joined. It refuses any event that does not follow the one before."""

    def __init__(self, socket: ClientConnection, welcome: Welcome, seq: RoomSeq, state: State | None) -> None:
        self.socket = socket
        self.welcome = welcome
        self.seq = seq
        self.state = state
        self.others: list[Any] = []

    async def next(self) -> NumberedEvent:
        """The next numbered event."""
        while True:
            frame = await self._read()
            if isinstance(frame, NumberedEvent):
                return frame

    async def hear(self, kind: type[FrameT], matching: Callable[[FrameT], bool] = lambda _: True) -> FrameT:
        """The next frame of that kind, of which this is true."""
        while True:
            frame = await self._read()
            if isinstance(frame, kind) and matching(frame):
                return frame

    async def say(self, frame: FromClient | str | bytes) -> None:
        await self.socket.send(frame if isinstance(frame, str | bytes) else encode(frame).decode())

    async def _read(self) -> NumberedEvent | ToClient:
        frame = decode_frame(await receive(self.socket))
        if not isinstance(frame, NumberedEvent):
            self.others.append(frame)
            return frame
        assert frame.seq == self.seq + 1, f"{frame.seq} came after {self.seq}"
        self.seq = frame.seq
        if self.state is not None:
            self.state = replay.apply(self.state, frame.data)
        return frame

    async def reach(self, seq: int) -> None:
        """Read up to that event."""
        while self.seq < seq:
            await self.next()

    async def closed(self) -> tuple[int, str]:
        """Code and reason of the close, after all events before it."""
        return await closed(self.socket, self)


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Wait until this is true."""
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():  # noqa: ASYNC110 (what is waited for is not in this process)
            await asyncio.sleep(0.02)


async def receive(socket: ClientConnection) -> str | bytes:
    async with asyncio.timeout(PATIENCE_S):
        return await socket.recv()


async def closed(socket: ClientConnection, client: Client | None = None) -> tuple[int, str]:
    async def read_all() -> None:
        while True:
            await (receive(socket) if client is None else client.next())

    with pytest.raises(ConnectionClosed) as caught:
        await read_all()
    assert caught.value.rcvd is not None, "closed without a code"
    return caught.value.rcvd.code, caught.value.rcvd.reason


@asynccontextmanager
async def dial(url: str, session_id: SessionId | str, **options: Any) -> AsyncIterator[ClientConnection]:
    """A socket that has said nothing yet."""
    address = f"{url.replace('http', 'ws', 1)}/ws/game/{session_id}"
    async with connect(
        address, **{"subprotocols": ["baton.v1"], "compression": None, "proxy": None} | options
    ) as socket:
        yield socket


@asynccontextmanager
async def join(
    url: str,
    session: Session,
    *,
    seq: int | None = None,
    epoch: str | None = None,
    token: str | None = None,
    **options: Any,
) -> AsyncIterator[Client]:
    """A client that has been let in."""
    async with dial(url, session.id, **options) as socket:
        await socket.send(
            encode(
                Join(
                    token=token or token_for(session.team_id),
                    seq=None if seq is None else RoomSeq(seq),
                    epoch=epoch,
                )
            ).decode()
        )
        welcome = decode_frame(await receive(socket))
        assert isinstance(welcome, Welcome), welcome
        if welcome.recovered:
            assert seq is not None
            yield Client(socket, welcome, RoomSeq(seq), None)
            return
        snapshot = decode_frame(await receive(socket))
        assert isinstance(snapshot, Snapshot), snapshot
        yield Client(socket, welcome, snapshot.seq, decode_state(snapshot.state))
