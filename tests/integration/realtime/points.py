"""A small points service: it keeps sessions' logs in memory instead of Postgres, and tells rooms by the real script."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

from contracts import replay, rooms
from contracts.channels import POINTS_GROUP, ROOM_REQUESTS, room_key, room_log
from contracts.events import decode_rebuild_room
from contracts.frames import encode_event
from contracts.ids import PlayerId, PuzzleId, RoomSeq, SessionId, TeamId
from contracts.puzzles import PuzzleView
from contracts.rooms import Fact, Player, PuzzleAssigned, SessionCreated, State, Status
from contracts.rules import Rules
from services.kit.redis_client import ValkeyClient
from services.kit.rooms import Publication, Rooms
from services.kit.streams import Consumer, Outcome
from services.kit.supervise import Supervisor

EPOCH = "an-epoch"


class Session:
    """A session's log and state."""

    def __init__(self) -> None:
        self.id = SessionId(uuid4())
        self.team_id = TeamId(uuid4())
        self.player_id = PlayerId(uuid4())
        self.epoch = EPOCH
        self.frames: list[bytes] = []
        player = Player(player_id=self.player_id, seat=0, name="Ada", colour="#e4572e")
        self.state = State(
            session_id=self.id,
            team_id=self.team_id,
            team_name="Otters",
            status=Status.LOBBY,
            rules=Rules(),
            created_at=1,
            players=[player],
        )
        self.commit(SessionCreated(state=self.state))

    @property
    def seq(self) -> RoomSeq:
        return RoomSeq(len(self.frames))

    def commit(self, fact: Fact) -> RoomSeq:
        """One more event, in the log and in the state, of which nobody was told yet."""
        self.frames.append(encode_event(RoomSeq(self.seq + 1), self.seq + 1, fact))
        self.state = replay.apply(self.state, fact)
        return self.seq

    def deal(self, size: int = 10) -> RoomSeq:
        """Commit an event of about `size` bytes."""
        puzzle = PuzzleView(
            puzzle_id=PuzzleId(uuid4()), type="memory", difficulty=1, view={"text": "x" * size}, opened_at=1, deadline=2
        )
        return self.commit(PuzzleAssigned(player_id=self.player_id, puzzle=puzzle))


class Points:
    """The sessions, and their rooms in Valkey."""

    def __init__(self, redis: ValkeyClient) -> None:
        self.redis = redis
        self.rooms = Rooms(redis)
        self.sessions: dict[SessionId, Session] = {}
        self.rebuilt: list[SessionId] = []
        self.rebuilding = asyncio.Event()

    async def open(self, events: int = 0) -> Session:
        """A session whose room exists, with so many events after its creation."""
        session = Session()
        self.sessions[session.id] = session
        for _ in range(events):
            session.deal()
        await self.tell(session)
        return session

    async def tell(self, session: Session, since: int = 0) -> None:
        """Tell the room all events after `since`."""
        frames = session.frames[since:]
        await self.rooms.tell([self._publication(session, since, frames)])

    async def happen(self, session: Session, size: int = 10) -> RoomSeq:
        """Something happens, and the room is told."""
        seq = session.deal(size)
        await self.tell(session, since=seq - 1)
        return seq

    async def happen_after_loss(self, session: Session) -> RoomSeq:
        """Something happens; a room that is behind is told everything, as points does it."""
        seq = session.deal()
        if await self.rooms.tell([self._publication(session, seq - 1, session.frames[seq - 1 :])]):
            await self.rooms.tell([self._publication(session, 0, session.frames, rebuild=True)])
        return seq

    async def happen_unheard(self, session: Session) -> RoomSeq:
        """Something happens, and the room has it, but the message is lost on its way to the gateways."""
        session.deal()
        return await self.tell_unheard(session)

    async def tell_unheard(self, session: Session) -> RoomSeq:
        """The room has the newest event, but the message is lost on its way to the gateways."""
        seq = session.seq
        async with self.redis.pipeline(transaction=True) as pipeline:
            pipeline.xadd(room_log(session.id), {"e": session.frames[-1]}, id=f"{seq}-0")
            pipeline.hset(room_key(session.id), mapping={"seq": seq, "state": rooms.encode(session.state)})
            await pipeline.execute()
        return seq

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """While gateways' requests to rebuild rooms are answered, as points does it."""
        consumer = Consumer(
            self.redis, stream=ROOM_REQUESTS, group=POINTS_GROUP, name="a", apply=self._rebuild, failed=self._failed
        )
        async with Supervisor() as supervisor:
            supervisor.start("answering", consumer.run)
            yield

    async def _rebuild(self, payload: bytes) -> Outcome:
        session_id = decode_rebuild_room(payload).session_id
        if session := self.sessions.get(session_id):
            await self.rooms.tell([self._publication(session, 0, session.frames, rebuild=True)])
            self.rebuilt.append(session_id)
            self.rebuilding.set()
        return Outcome.DONE

    async def _failed(self, _key: str, _payload: bytes, error: Exception) -> bool:
        raise error

    def _publication(
        self, session: Session, since: int, frames: Sequence[bytes], *, rebuild: bool = False
    ) -> Publication:
        return Publication(
            session.id, session.epoch, RoomSeq(since + 1), rooms.encode(session.state), frames, rebuild=rebuild
        )
