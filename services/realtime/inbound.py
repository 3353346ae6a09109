"""What clients say. Every frame is bounded in size and rate, and checked; who breaks the rules too often is closed."""

import re
import time
from collections.abc import Callable
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from contracts.frames import (
    Answer,
    Error,
    FromClient,
    Join,
    Ping,
    Pong,
    Refresh,
    Refreshed,
    decode_from_client,
    encode,
)
from contracts.ids import SessionId
from contracts.talk import (
    MAX_TEXT,
    Chat,
    Cursor,
    Emote,
    FromPlayer,
    Interaction,
    SendChat,
    SendCursor,
    SendEmote,
    SendInteraction,
)
from services.kit import metrics
from services.kit.clock import local_ms
from services.kit.problem import Problem
from services.kit.tokens import Identity, Role, Verifier
from services.realtime import auth
from services.realtime.answers import Reply, refusal
from services.realtime.buckets import Buckets, Rate
from services.realtime.close_codes import Close, Refused
from services.realtime.frame import Frame

BAD_FRAMES: Final = 5
MAX_SEQ: Final = 2**53
"""The largest number that every client's language can count to without an error."""

RATES: Final[dict[type[FromClient], Rate]] = {
    Ping: Rate(5, 10),
    Refresh: Rate(0.5, 5),
    SendCursor: Rate(20, 20),
    SendInteraction: Rate(10, 10),
    SendChat: Rate(2, 5),
    SendEmote: Rate(2, 5),
    Answer: Rate(5, 10),
}
"""What one connection may say of each kind; what is more is not done."""
COMPLAINTS: Final = Rate(1, 1)
"""How often a client is told so."""
EXCESS: Final = Rate(100, 500)
"""How much more than that a client may say before it is closed."""

# Control characters, line and paragraph separators, and what turns the direction of the text around it.
_NOT_IN_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class Client(Protocol):
    """Whoever is answered."""

    def send(self, frame: Frame) -> None: ...


class Line(Protocol):
    """The way to the client. `last_ping_rtt` is in seconds, and 0 as long as there was no ping."""

    last_ping_rtt: float


class Publishing(Protocol):
    """Where what players say goes. See services/realtime/publisher.py."""

    def publish(self, session_id: SessionId, frame: bytes) -> None: ...


class Answering(Protocol):
    """Where answers go. See services/realtime/answers.py."""

    def give(self, token: str, answer: Answer, reply: Reply) -> None: ...


class Outlets(Struct, frozen=True):
    """Where the frames of all clients go, and whose word counts for a token."""

    publisher: Publishing
    answers: Answering
    verifier: Verifier
    max_frame_bytes: int
    clock: Callable[[], float] = time.monotonic


class Speaker(Struct, frozen=True):
    """Who speaks, in which room. The token is what it takes to answer in a player's name, "" for all others."""

    session_id: SessionId
    identity: Identity
    token: str

    @classmethod
    def of(cls, session_id: SessionId, identity: Identity, token: str) -> "Speaker":
        """Whoever holds the token."""
        return cls(session_id, identity, token if identity.role is Role.PLAYER else "")


class Inbound:
    """The frames of one client, one after the other. `speaker` is to be set when it has been let in."""

    __slots__ = ("_bad_frames", "_buckets", "_client", "_line", "_outlets", "speaker")

    def __init__(self, client: Client, line: Line, outlets: Outlets) -> None:
        self._client = client
        self._line = line
        self._outlets = outlets
        self._buckets = Buckets()
        self._bad_frames = 0
        self.speaker: Speaker | None = None

    def join(self, data: bytes) -> Join:
        """The first frame. Raises Refused where it is anything but a join."""
        match self._decode(data):
            case Join(seq=seq) as join if seq is None or 0 <= seq <= MAX_SEQ:
                return join
            case Join():
                self._say_error("bad_frame", "`seq` is out of range")
            case None:
                pass
            case _:
                self._say_error("bad_frame", "the first frame must be a join")
        raise Refused(Close.BAD_FRAMES)

    def handle(self, data: bytes) -> None:
        """Any later frame. Raises Refused when it is one too many."""
        frame = self._decode(data)
        if frame is None or isinstance(frame, Join):
            if frame is not None:
                self._say_error("bad_frame", "this connection has joined already")
            self._bad_frames += 1
            if self._bad_frames >= BAD_FRAMES:
                raise Refused(Close.BAD_FRAMES)
        elif self._is_within_rate(frame):
            self._take(frame)

    def _take(self, frame: Ping | Refresh | Answer | FromPlayer) -> None:
        speaker = self.speaker
        if isinstance(frame, Ping):
            rtt_ms = round(self._line.last_ping_rtt * 1000) if self._line.last_ping_rtt else None
            self._client.send(Frame(encode(Pong(id=frame.id, now=local_ms(), rtt_ms=rtt_ms))))
            return
        if isinstance(frame, Refresh):
            if speaker is not None:
                self._refresh(speaker, frame.token)
            return
        if speaker is None or speaker.identity.role is not Role.PLAYER:
            self._say_error("players_only", "only players may say this; others can look on")
        elif isinstance(frame, Answer):
            self._outlets.answers.give(speaker.token, frame, self._client.send)
        elif isinstance(frame, SendChat) and not _is_a_line(frame.text):
            self._say_error("invalid_text", f"a text is one line of 1 to {MAX_TEXT} characters, none for control")
        else:
            kind = frame.__struct_config__.tag
            metrics.said.labels(kind).inc()
            self._outlets.publisher.publish(speaker.session_id, encode(_stamped(frame, speaker.identity)))

    def _refresh(self, speaker: Speaker, token: str) -> None:
        try:
            identity = auth.renew(self._outlets.verifier, token, speaker.identity)
        except Refused as refused:
            self._say_error(refused.close.reason, "this token cannot take the place of the present one")
            return
        self.speaker = Speaker.of(speaker.session_id, identity, token)
        self._client.send(Frame(encode(Refreshed(expires_at=identity.expires_at * 1000))))

    def _is_within_rate(self, frame: Ping | Refresh | Answer | FromPlayer) -> bool:
        """Whether this kind may be said now. Raises Refused where far too much has been said."""
        kind, now = type(frame), self._outlets.clock()
        if self._buckets.take(kind, RATES[kind], now):
            return True
        metrics.rate_limited.labels(frame.__struct_config__.tag).inc()
        if not self._buckets.take("excess", EXCESS, now):
            raise Refused(Close.RATE_LIMITED)
        message = f"more than {RATES[kind].per_s:g} of `{frame.__struct_config__.tag}` a second"
        if isinstance(frame, Answer):
            self._client.send(refusal(frame.id, Problem(429, "rate_limited", message)))
        elif self._buckets.take("complaint", COMPLAINTS, now):
            self._say_error("rate_limited", message)
        return False

    def _decode(self, data: bytes) -> FromClient | None:
        """The frame, or None where it was broken, which the client has been told."""
        if len(data) > self._outlets.max_frame_bytes:
            raise Refused(Close.TOO_LARGE)
        try:
            frame: FromClient = decode_from_client(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._say_error("bad_frame", str(error))
            return None
        return frame

    def _say_error(self, code: str, message: str) -> None:
        self._client.send(Frame(encode(Error(code=code, message=message))))


def _is_a_line(text: str) -> bool:
    return bool(text.strip()) and len(text) <= MAX_TEXT and _NOT_IN_A_LINE.search(text) is None


def _stamped(frame: FromPlayer, identity: Identity) -> Cursor | Interaction | Chat | Emote:
    """What the room is told: who said it is the server's word, not the client's."""
    player_id, at = identity.subject, local_ms()
    match frame:
        case SendCursor(x=x, y=y):
            return Cursor(player_id=player_id, at=at, x=x, y=y)
        case SendInteraction(action=action, puzzle_id=puzzle_id, detail=detail):
            return Interaction(player_id=player_id, at=at, action=action, puzzle_id=puzzle_id, detail=detail)
        case SendChat(text=text):
            return Chat(player_id=player_id, at=at, text=text.strip())
        case SendEmote(emote=emote):
            return Emote(player_id=player_id, at=at, emote=emote)
