"""⑦ Telling a room: one script appends the numbered events and publishes them, so no client can see a gap."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from redis.exceptions import NoScriptError

from contracts.channels import room_channel, room_names
from contracts.ids import RoomSeq, SessionId
from services.kit.redis_client import ValkeyClient, publish_command

SCRIPT = Path(__file__).with_name("publish_to_room.lua").read_text()
SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()

EVENTS_KEPT = 256
TIME_TO_LIVE_MS = 6 * 3600 * 1000
FINISHED_TIME_TO_LIVE_MS = 3600 * 1000
"""By default. Who still looks at a finished game after that has its room rebuilt."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A contiguous range of a session's events, and the public state as of the last of them."""

    session_id: SessionId
    epoch: str
    first_seq: RoomSeq
    state: bytes
    frames: Sequence[bytes] = field(default_factory=list)
    rebuild: bool = False
    """The range may begin anywhere: what the room had before is forgotten."""
    schedule: bytes = b""
    """What the room is to know besides, as of the same event: how its points decay."""
    finished: bool = False
    """The game is over: hardly anybody will need the room for long."""

    @property
    def last_seq(self) -> RoomSeq:
        return RoomSeq(self.first_seq + len(self.frames) - 1)


class RoomBehindError(Exception):
    """The room lacks events before the range: it must be sent from `known` + 1 on."""

    def __init__(self, session_id: SessionId, known: RoomSeq) -> None:
        super().__init__(f"room {session_id} has {known}")
        self.session_id = session_id
        self.known = known


class Rooms:
    """The rooms in Valkey, as their writer sees them. Those of finished games are kept for `finished_ms`."""

    def __init__(self, redis: ValkeyClient, finished_ms: int = FINISHED_TIME_TO_LIVE_MS) -> None:
        self._redis = redis
        self._finished_ms = finished_ms
        self._publish = publish_command(redis)

    async def tell(self, publications: Sequence[Publication]) -> list[RoomBehindError]:
        """Tell many rooms in one round trip. Returns which of them are behind; the others have it all.

        Doubled and late calls change nothing. Raises RedisError when Valkey does not take it.
        """
        results = await self._call("EVALSHA", SHA, publications)
        if any(isinstance(result, NoScriptError) for result in results):
            # A script that is brought along stays there, on whichever servers lacked it.
            results = await self._call("EVAL", SCRIPT, publications)
        behind = []
        for publication, result in zip(publications, results, strict=True):
            if isinstance(result, Exception):
                raise result
            if int(result) < 0:
                behind.append(RoomBehindError(publication.session_id, RoomSeq(-1 - int(result))))
        return behind

    async def _call(self, command: str, script: str, publications: Sequence[Publication]) -> list[int | Exception]:
        pipeline = self._redis.pipeline(transaction=False)
        for publication in publications:
            pipeline.execute_command(
                command,
                script,
                3,
                *room_names(publication.session_id),
                publication.epoch,
                publication.first_seq,
                "1" if publication.rebuild else "0",
                EVENTS_KEPT,
                self._finished_ms if publication.finished else TIME_TO_LIVE_MS,
                self._publish,
                publication.state,
                publication.schedule,
                *publication.frames,
            )
        results: list[int | Exception] = await pipeline.execute(raise_on_error=False)
        return results

    async def say(self, messages: Sequence[tuple[SessionId, bytes]]) -> None:
        """Publish ephemeral frames, many in one round trip. Whoever does not hear one has lost nothing."""
        pipeline = self._redis.pipeline(transaction=False)
        for session_id, frame in messages:
            pipeline.execute_command(self._publish, room_channel(session_id), b"0 " + frame)
        await pipeline.execute()
