"""A client that says things, and what becomes of them."""

from uuid import UUID

from contracts.frames import Answer, Error, ToClient, decode_to_client
from contracts.ids import PlayerId, SessionId, TeamId
from services.kit.tokens import DEVELOPMENT_PRIVATE_KEY, Identity, Role, Verifier, public_key_of
from services.realtime.answers import Reply
from services.realtime.frame import Frame
from services.realtime.inbound import Inbound, Outlets, Speaker

PLAYER_ID = PlayerId(UUID(int=7))
SESSION_ID = SessionId(UUID(int=8))
PUZZLE_ID = UUID(int=9)
TEAM_ID = TeamId(UUID(int=10))
TOKEN = "a token"
VERIFIER = Verifier([public_key_of(DEVELOPMENT_PRIVATE_KEY)])
SAID: dict[str, bytes] = {
    "cursor": b'{"type": "cursor", "x": 0.25, "y": 1}',
    "interaction": b'{"type": "interaction", "action": "turn", "detail": {"card": 3}}',
    "chat": b'{"type": "chat", "text": "hello"}',
    "emote": b'{"type": "emote", "emote": "wave"}',
    "answer": b'{"type": "answer", "id": 3, "puzzle_id": "%b", "answer": {"colour": "red"}}' % str(PUZZLE_ID).encode(),
}


class World:
    """A client, and what became of what it said."""

    def __init__(self, role: Role | None = Role.PLAYER, max_frame_bytes: int = 4096) -> None:
        self.frames: list[Frame] = []
        self.published: list[ToClient] = []
        self.given: list[tuple[str, Answer]] = []
        self.now = 100.0
        self.last_ping_rtt = 0.0
        self.inbound = Inbound(self, self, Outlets(self, self, VERIFIER, max_frame_bytes, lambda: self.now))
        if role is not None:
            identity = Identity(subject=PLAYER_ID, team_id=TEAM_ID, role=role, expires_at=0)
            self.inbound.speaker = Speaker(SESSION_ID, identity, TOKEN)

    def send(self, frame: Frame) -> None:
        assert not frame.ephemeral
        assert frame.seq == 0
        self.frames.append(frame)

    def publish(self, session_id: SessionId, frame: bytes) -> None:
        assert session_id == SESSION_ID
        self.published.append(decode_to_client(frame))

    def give(self, token: str, answer: Answer, reply: Reply) -> None:
        self.given.append((token, answer))
        assert reply == self.send

    def say(self, *frames: bytes) -> None:
        for frame in frames:
            self.inbound.handle(frame)

    @property
    def answers(self) -> list[ToClient]:
        """What the client was told."""
        return [decode_to_client(frame.body) for frame in self.frames]

    @property
    def codes(self) -> list[str]:
        """The codes of the errors that the client was told of."""
        return [answer.code for answer in self.answers if isinstance(answer, Error)]
