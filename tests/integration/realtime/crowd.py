"""Many clients in one process, as light as Python has them, that check every byte of what happens in their rooms."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from contracts.frames import Join, encode
from contracts.ids import RoomSeq
from services.kit.tokens import Role
from tests.integration.realtime.clients import token_for
from tests.integration.realtime.points import EPOCH, Session
from tests.integration.realtime.raw import CLOSE, PING, PONG, TEXT, handshake, masked

AGAIN_S = 0.2
"""How long one waits who was refused."""


class _Envelope(msgspec.Struct):
    type: str
    seq: int = 0
    recovered: bool = False


_decode = msgspec.json.Decoder(_Envelope).decode


class Player(asyncio.Protocol):
    """One client. `seq` is the last event it was told; any other than the next, or another text, is a fault."""

    def __init__(self, crowd: "Crowd", session: Session) -> None:
        self._crowd = crowd
        self._session = session
        self._token = token_for(session.team_id, role=Role.SPECTATOR)
        self._data = b""
        self._transport: asyncio.Transport | None = None
        self._is_up = False
        self.seq = 0
        self.is_in = False

    @property
    def has_all(self) -> bool:
        return self.is_in and self.seq == self._session.seq

    async def come(self) -> None:
        """Connect, or try again later."""
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self, "127.0.0.1", self._crowd.port())
        except ConnectionError:
            self._crowd.count["unreachable"] += 1
            self._crowd.come_later(self, AGAIN_S)

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._data = b""
        self._is_up = self.is_in = False
        transport.write(handshake(self._session.id))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.is_in = False
        self._crowd.count["lost"] += 1
        self._crowd.come_later(self, self._crowd.pause_s() if self._is_up else AGAIN_S)

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._is_up:
            head, end, rest = self._data.partition(b"\r\n\r\n")
            if not end:
                return
            self._data = rest
            if not head.startswith(b"HTTP/1.1 101 "):
                self._crowd.count["refused"] += 1
                self.cut()
                return
            self._is_up = True
            self._join()
        for opcode, payload in self._frames():
            self._take(opcode, payload)

    def _join(self) -> None:
        known = {"seq": RoomSeq(self.seq), "epoch": EPOCH} if self.seq else {}
        assert self._transport is not None
        self._transport.write(masked(TEXT, encode(Join(token=self._token, **known))))  # type: ignore[arg-type]

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        at = 0
        while len(self._data) >= at + 2:
            size, start = self._data[at + 1], at + 2
            if size >= 126:
                start += 2 if size == 126 else 8
                size = int.from_bytes(self._data[at + 2 : start])
            if len(self._data) < start + size:
                break
            yield self._data[at] & 0xF, self._data[start : start + size]
            at = start + size
        self._data = self._data[at:]

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            assert self._transport is not None
            self._transport.write(masked(PONG, payload))
        elif opcode == CLOSE:
            self._crowd.count[f"closed with {int.from_bytes(payload[:2])}"] += 1
            assert self._transport is not None
            self._transport.write(masked(CLOSE, payload[:2]))
        elif payload.startswith(b'{"seq":'):
            self.seq += 1
            if payload != self._session.frames[self.seq - 1]:
                self._crowd.faults.append(f"told {payload[:80]!r} as event {self.seq}")
            self._crowd.count["events"] += 1
        else:
            self._take_other(_decode(payload))

    def _take_other(self, frame: _Envelope) -> None:
        if frame.type == "welcome":
            self.is_in = True
            self._crowd.count["recovered" if frame.recovered else "welcomed anew"] += 1
            if frame.recovered:
                self._crowd.count["missed"] += self._session.seq - self.seq
        elif frame.type == "snapshot":
            if self.seq:
                self._crowd.faults.append(f"had {self.seq}, and was given a snapshot")
            self.seq = frame.seq


class Crowd:
    """So many clients in each session. They come, and come back when they are cut off, as long as they may."""

    def __init__(self, sessions: Sequence[Session], in_each: int, port: Callable[[], int]) -> None:
        self.port = port
        self.players = [Player(self, session) for session in sessions for _ in range(in_each)]
        self.count: Counter[str] = Counter()
        self.faults: list[str] = []
        self.back_within_s = 1.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_open = False

    @contextmanager
    def there(self) -> Iterator[None]:
        """While this block runs, everybody is there or coming."""
        self._is_open = True
        for player in self.players:
            self.come_later(player, self.pause_s())
        try:
            yield
        finally:
            self._is_open = False
            for player in self.players:
                player.cut()

    def pause_s(self) -> float:
        return random.uniform(0, self.back_within_s)

    def come_later(self, player: Player, pause_s: float) -> None:
        if self._is_open:
            asyncio.get_running_loop().call_later(pause_s, self._come, player)

    def cut(self) -> None:
        """Cut everybody off at once."""
        for player in self.players:
            player.cut()

    async def have_all(self) -> None:
        """Wait until everybody is in and has all events."""
        await self.until(lambda: all(player.has_all for player in self.players))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until that is true of the crowd."""
        async with asyncio.timeout(110):
            while not condition():  # noqa: ASYNC110 (thousands of clients, of which each may make it true)
                await asyncio.sleep(0.02)

    def _come(self, player: Player) -> None:
        if self._is_open:
            task = asyncio.get_running_loop().create_task(player.come())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
