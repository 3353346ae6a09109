"""Joining a room as one step: subscribe, read, merge with what was delivered meanwhile, go on."""

from collections.abc import Sequence

import structlog
from msgspec import Raw

from contracts.channels import room_channel
from contracts.frames import PROTOCOL, Join, Snapshot, Welcome, encode
from contracts.ids import SessionId
from contracts.rooms import Status
from services.kit import metrics
from services.kit.clock import local_ms
from services.kit.tokens import Identity, Role
from services.realtime.audience import Member
from services.realtime.close_codes import Close, Refused
from services.realtime.frame import Frame
from services.realtime.hub import Hub
from services.realtime.listener import Subscriptions
from services.realtime.pubsub import NotListeningError
from services.realtime.reading import Position, Reading
from services.realtime.recovery import RoomReader, RoomUnavailableError, UnknownSessionError
from services.realtime.room import Room
from services.realtime.upkeep import Upkeep

log = structlog.get_logger()

MOST_SINCE = 64
"""An earlier reading is used as long as no more events than this have to be sent after it."""
TRIES = 5
"""A reading is too old when the room went on by events from before the join; that many times in a row it is not."""


class Entrance:
    """Lets clients into rooms. `replay_bytes` is the most that a client is sent as missed events, not as a snapshot."""

    def __init__(
        self, hub: Hub, subscriptions: Subscriptions, reader: RoomReader, upkeep: Upkeep, *, replay_bytes: int
    ) -> None:
        self._hub = hub
        self._subscriptions = subscriptions
        self._reader = reader
        self._upkeep = upkeep
        self._replay_bytes = replay_bytes

    async def enter(self, member: Member, session_id: SessionId, identity: Identity, join: Join) -> Room:
        """Make the client a member, told all up to now: exactly what it missed, or the whole state.

        Raises Refused where it may not or cannot come in.
        """
        room = self._hub.room(session_id)
        with room.joining():
            try:
                await self._subscriptions.subscribe(room_channel(session_id), room.receive)
                for _ in range(TRIES):
                    if await self._admit(room, member, identity, join):
                        self._upkeep.watch(room)
                        return room
            except (NotListeningError, RoomUnavailableError) as error:
                log.warning("room_unavailable", session_id=str(session_id), error=str(error))
                raise Refused(Close.ROOM_UNAVAILABLE) from error
            except UnknownSessionError as error:
                raise Refused(Close.UNKNOWN_SESSION) from error
            raise Refused(Close.SEQUENCE_LOST)

    async def _admit(self, room: Room, member: Member, identity: Identity, join: Join) -> bool:
        client = Position(join.epoch, join.seq) if join.epoch is not None and join.seq is not None else None
        reading = await self._read(room, identity, client)
        missed = self._missed(reading, client)
        position = reading.position if missed is None or client is None else max(reading.position, client)
        frames = [_welcome(room.session_id, identity, position.epoch, recovered=missed is not None)]
        frames += [_snapshot(reading)] if missed is None else missed
        admitted = room.admit(member, identity.subject, position, frames)
        if admitted:
            metrics.recoveries.labels("snapshot" if missed is None else "recovered").inc()
        else:
            room.reading = None
        return admitted

    async def _read(self, room: Room, identity: Identity, client: Position | None) -> Reading:
        """The room, in which the client has a place. Raises Refused where it has none."""
        reading = room.reading
        if reading is not None and _serves(reading, room, client) and _has_place(reading, identity):
            return reading
        # Nobody is ever sent back: a room older than this gateway or the client knows it to be is rebuilt first.
        floors = [position for position in (room.position, client) if position is not None]
        with_log = client is not None
        reading = await self._reader.read_for_joins(room.session_id, with_log=with_log, floors=floors)
        # The room may not have been told yet of a player who has just joined, so points is asked; twice, since it may
        # have been asked before, by somebody else. Whoever it does not know then, has left for good.
        for _ in range(2):
            if _has_place(reading, identity) or identity.subject in room.strangers:
                break
            reading = await self._reader.read_anew(room.session_id, with_log=with_log, floors=floors)
        room.reading = reading
        if not _has_place(reading, identity):
            room.strangers.add(identity.subject)
            raise Refused(Close.FORBIDDEN if reading.roster.status is Status.FINISHED else Close.LEFT)
        return reading

    def _missed(self, reading: Reading, client: Position | None) -> Sequence[Frame] | None:
        """What the client has missed, or None where it needs a snapshot."""
        if client is None or client.epoch != reading.position.epoch or (log := reading.since(client.seq)) is None:
            return None
        frames = [Frame(body, seq) for seq, body in log]
        return frames if sum(len(frame.wire) for frame in frames) <= self._replay_bytes else None


def _has_place(reading: Reading, identity: Identity) -> bool:
    """Whether the client may come in: anybody of the team who has a seat, or needs none. Raises Refused for others."""
    roster = reading.roster
    if roster.team_id != identity.team_id:
        raise Refused(Close.FORBIDDEN)
    return identity.role is not Role.PLAYER or roster.has(identity.subject)


def _serves(reading: Reading, room: Room, client: Position | None) -> bool:
    """Whether an earlier reading, with what the room has received since, is as good as a new one for this client."""
    now = room.position
    if now is None or now.epoch != reading.position.epoch or now.seq - reading.position.seq > MOST_SINCE:
        return False
    if client is None or client.epoch != now.epoch:
        return True
    return client.seq <= now.seq and (reading.log is not None or client.seq >= reading.position.seq)


def _welcome(session_id: SessionId, identity: Identity, epoch: str, *, recovered: bool) -> Frame:
    welcome = Welcome(
        protocol=PROTOCOL,
        session_id=session_id,
        role=identity.role,
        player_id=identity.subject if identity.role is Role.PLAYER else None,
        epoch=epoch,
        recovered=recovered,
        now=local_ms(),
        expires_at=identity.expires_at * 1000,
    )
    return Frame(encode(welcome))


def _snapshot(reading: Reading) -> Frame:
    seq = reading.position.seq
    return Frame(encode(Snapshot(seq=seq, now=local_ms(), state=Raw(reading.state))), seq)
