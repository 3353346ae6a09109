"""The rooms that are talked in, as points would have made them, and the tokens that open them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from uuid import uuid4

from contracts.frames import encode_event
from contracts.ids import PlayerId, PuzzleId, RoomSeq, SessionId, TeamId
from contracts.puzzles import PuzzleView
from contracts.rooms import Player, PlayerReady, PointsAwarded, State, Status, encode
from contracts.rules import Rules
from services.kit.clock import local_ms
from services.kit.redis_client import ValkeyClient, connect
from services.kit.rooms import Publication, Rooms
from services.kit.tokens import DEVELOPMENT_PRIVATE_KEY, Role, Signer

EPOCH = "bench"
SEATS = 4
TOKEN_LIFE_S = 3600
ROOMS_A_CALL = 200


@dataclass(frozen=True)
class BenchRoom:
    """A session in the middle of its game."""

    session_id: SessionId
    team_id: TeamId
    players: tuple[PlayerId, ...]

    @cached_property
    def state(self) -> bytes:
        """Its public state, of the size that states have."""
        now = local_ms()
        return encode(
            State(
                session_id=self.session_id,
                team_id=self.team_id,
                team_name="Otters",
                status=Status.ACTIVE,
                rules=Rules(),
                created_at=now,
                starts_at=now,
                started_at=now,
                players=[self._player(seat, now) for seat in range(SEATS)],
            )
        )

    def token(self, member: int) -> str:
        """The token of the room's client of that index: those after the seats are spectators."""
        signer = Signer(DEVELOPMENT_PRIVATE_KEY, TOKEN_LIFE_S)
        if member < SEATS:
            return signer.sign(self.players[member], self.team_id, Role.PLAYER)
        return signer.sign(PlayerId(uuid4()), self.team_id, Role.SPECTATOR)

    def _player(self, seat: int, now: int) -> Player:
        puzzle = PuzzleView(
            puzzle_id=PuzzleId(uuid4()),
            type="memory",
            difficulty=2,
            view={"colours": ["red", "blue", "green", "yellow", "blue", "red"], "question": 4},
            opened_at=now,
            deadline=now + 20_000,
        )
        return Player(
            player_id=self.players[seat],
            seat=seat,
            name=f"Player {seat}",
            colour="#e4572e",
            ready=True,
            base=20,
            zero_at=now + 100_000,
            puzzle=puzzle,
        )


def make_rooms(count: int) -> list[BenchRoom]:
    """So many rooms, each of a team of its own; nobody knows of them yet."""
    return [
        BenchRoom(SessionId(uuid4()), TeamId(uuid4()), tuple(PlayerId(uuid4()) for _ in range(SEATS)))
        for _ in range(count)
    ]


def prepare(redis_url: str, rooms: Sequence[BenchRoom]) -> None:
    """Put the rooms into Valkey, each with its first event."""
    asyncio.run(_prepare(connect(redis_url), rooms))


async def _prepare(redis: ValkeyClient, rooms: Sequence[BenchRoom]) -> None:
    teller = Rooms(redis)
    for start in range(0, len(rooms), ROOMS_A_CALL):
        behind = await teller.tell(
            [
                Publication(
                    room.session_id,
                    EPOCH,
                    RoomSeq(1),
                    room.state,
                    [encode_event(RoomSeq(1), local_ms(), PlayerReady(player_id=room.players[0], ready=True))],
                )
                for room in rooms[start : start + ROOMS_A_CALL]
            ]
        )
        assert not behind
    await redis.aclose()


def frame_tail() -> str:
    """A `points.awarded` after its `seq`: what the publishers put their numbers before."""
    now = local_ms()
    award = PointsAwarded(
        from_player_id=PlayerId(uuid4()),
        to_player_id=PlayerId(uuid4()),
        puzzle_id=PuzzleId(uuid4()),
        amount=5,
        base=20,
        zero_at=now,
    )
    return encode_event(RoomSeq(1), now, award).decode().removeprefix('{"seq":1,')
