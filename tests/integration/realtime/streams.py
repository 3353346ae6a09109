"""Clients of Server-Sent Events that follow the protocol to the letter."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from contracts import replay
from contracts.frames import NumberedEvent, Snapshot, StreamEnd, Welcome, decode_frame, decode_stream_end
from contracts.ids import RoomSeq
from contracts.rooms import State, decode_state
from tests.integration.realtime.clients import PATIENCE_S, token_for
from tests.integration.realtime.points import Session


class Listener:
    """A client that has been let in. It refuses any event that does not follow the one before."""

    def __init__(self, response: httpx.Response, last_event_id: str | None) -> None:
        self.response = response
        self.last_event_id = last_event_id
        self.seq = RoomSeq(0 if last_event_id is None else int(last_event_id.partition(":")[2]))
        self.welcome: Welcome | None = None
        self.state: State | None = None
        self.others: list[Any] = []
        self.comments = 0
        self._lines = response.aiter_lines()

    async def next(self) -> NumberedEvent:
        """The next numbered event."""
        while True:
            frame = await self._read()
            assert not isinstance(frame, StreamEnd), frame
            if isinstance(frame, NumberedEvent):
                return frame

    async def reach(self, seq: int) -> None:
        """Read up to that event."""
        while self.seq < seq:
            await self.next()

    async def enter(self) -> None:
        """Read what every stream begins with: a welcome, and a snapshot unless the sequence goes on."""
        self.welcome = await self._read()
        assert isinstance(self.welcome, Welcome), self.welcome
        if not self.welcome.recovered:
            snapshot = await self._read()
            assert isinstance(snapshot, Snapshot), snapshot
            assert self.last_event_id == f"{self.welcome.epoch}:{snapshot.seq}"
            self.seq, self.state = snapshot.seq, decode_state(snapshot.state)

    async def end(self) -> tuple[int, str]:
        """Code and reason of the end, after all events before it."""
        while not isinstance(frame := await self._read(), StreamEnd):
            pass
        async with asyncio.timeout(PATIENCE_S):
            assert [line async for line in self._lines] == []
        return frame.code, frame.reason

    async def _read(self) -> Any:
        fields = await self._fields()
        if fields.get("event") == "close":
            return decode_stream_end(fields["data"])
        frame = decode_frame(fields["data"])
        self.last_event_id = fields.get("id", self.last_event_id)
        if not isinstance(frame, NumberedEvent):
            self.others.append(frame)
            return frame
        assert self.welcome is not None
        assert frame.seq == self.seq + 1, f"{frame.seq} came after {self.seq}"
        assert fields["id"] == f"{self.welcome.epoch}:{frame.seq}"
        self.seq = frame.seq
        if self.state is not None:
            self.state = replay.apply(self.state, frame.data)
        return frame

    async def _fields(self) -> dict[str, str]:
        """The fields of the next event that has data."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE_S):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if line == "" and "data" in fields:
                    return fields
                if line.startswith(":"):
                    self.comments += 1
                elif line:
                    fields[name] = value
        raise EOFError("the stream ended without a word")


def headers_of(token: str | None, last_event_id: str | None = None) -> dict[str, str]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return headers if last_event_id is None else headers | {"Last-Event-ID": last_event_id}


@asynccontextmanager
async def listen(
    http: httpx.AsyncClient, url: str, session: Session, *, token: str | None = None, last_event_id: str | None = None
) -> AsyncIterator[Listener]:
    """A client that has been let in."""
    headers = headers_of(token or token_for(session.team_id), last_event_id)
    async with http.stream("GET", f"{url}/sse/game/{session.id}", headers=headers, timeout=PATIENCE_S) as response:
        assert response.status_code == 200, await response.aread()
        listener = Listener(response, last_event_id)
        await listener.enter()
        yield listener
