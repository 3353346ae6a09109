"""What client and gateway say to each other (`baton.v1`). One JSON object a frame, told apart by `type`."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from contracts.ids import PlayerId, PuzzleId, RoomSeq, SessionId
from contracts.rooms import FACTS, Fact
from contracts.talk import FromPlayer, ToRoom

PROTOCOL = "baton.v1"
TOKEN_SUBPROTOCOL = "token."  # noqa: S105 (the prefix of a subprotocol name, not a secret)


class Join(Struct, frozen=True, kw_only=True, tag="join"):
    """The first frame. `seq` and `epoch`, from an earlier connection, ask for exactly what was missed since.

    The token may be left out where it travelled in the list of subprotocols as `token.<token>`.
    """

    token: str | None = None
    seq: RoomSeq | None = None
    epoch: str | None = None


class Ping(Struct, frozen=True, kw_only=True, tag="ping"):
    """Asks for a `pong`, which repeats `id` and tells the server's time."""

    id: int = 0


class Refresh(Struct, frozen=True, kw_only=True, tag="refresh"):
    """A newer token of the same player, host or spectator: the connection outlives the one that it was opened with."""

    token: str


class Answer(Struct, frozen=True, kw_only=True, tag="answer"):
    """An answer to a puzzle: as `POST /puzzles/{id}/answer`, and answered by `answered` with the same `id`.

    The same answer to the same puzzle may be repeated: it takes effect once, like a request with an Idempotency-Key.
    """

    id: int
    puzzle_id: PuzzleId
    answer: msgspec.Raw
    idempotency_key: Annotated[str, Meta(pattern=r"^[\x21-\x7e]{8,200}\Z")] | None = None


FromClient = Join | Ping | Refresh | Answer | FromPlayer


class Welcome(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="welcome"):
    """The first answer to a join: who the client is taken for, and whether its sequence goes on without a break.

    `now` is the gateway's clock in milliseconds since the Unix epoch, and `expires_at` when by that clock the token
    expires. If `recovered`, exactly the missed events follow; otherwise a `snapshot` does.
    """

    protocol: str
    session_id: SessionId
    role: str
    player_id: PlayerId | None
    epoch: str
    recovered: bool
    now: int
    expires_at: int | None = None


class Snapshot(Struct, frozen=True, kw_only=True, tag="snapshot"):
    """The whole public state as of `seq`. `state` is a `contracts.rooms.State`, passed on as it stands in the room."""

    seq: RoomSeq
    now: int
    state: msgspec.Raw


class NumberedEvent(Struct, frozen=True, kw_only=True):
    """A fact with its place in the session's log. `type` names the kind of `data`; `at` is when it took effect."""

    seq: RoomSeq
    type: str
    at: int
    data: Fact


class Tick(Struct, frozen=True, kw_only=True, tag="tick"):
    """Everybody's points at `at`. Not numbered and may be dropped: it follows from the state and the time.

    `seq` is the room's newest event, by which a client sees that it missed one; `next_at` is the next decay.
    """

    seq: RoomSeq
    at: int
    next_at: int
    points: dict[PlayerId, int]


class Move(Struct, frozen=True, kw_only=True, tag="move"):
    """The gateway is about to stop, and closes this connection with 1012 in `in_ms`. Another one goes on from `seq`."""

    in_ms: int


class Present(Struct, frozen=True, kw_only=True):
    """Somebody in the room, at whatever gateways, since when and on how many connections.

    `subject` is the id of a player, and for a host or a spectator only what tells them apart.
    """

    subject: PlayerId
    role: str
    since: int
    connections: int


class Presence(Struct, frozen=True, kw_only=True, tag="presence"):
    """Who is in the room, as of `at`: always the whole list, players first. Not numbered and may be dropped.

    Where very many watch, not all are named: `more` connections are there besides.
    """

    at: int
    people: list[Present]
    more: int = 0


class Answered(Struct, frozen=True, kw_only=True, tag="answered"):
    """What came of an `answer`: status and body as over HTTP, so `body` is a result or a problem document."""

    id: int
    status: int
    body: msgspec.Raw


class Pong(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="pong"):
    """The answer to a `ping`. `rtt_ms` is the way there and back as the gateway has last measured it, if it has."""

    id: int
    now: int
    rtt_ms: int | None = None


class Refreshed(Struct, frozen=True, kw_only=True, tag="refreshed"):
    """The answer to a `refresh`: when the token that counts from now on expires."""

    expires_at: int


class StreamEnd(Struct, frozen=True, kw_only=True):
    """Why a stream of Server-Sent Events ends: the data of its last event, `close`. Codes are those of sockets."""

    code: int
    reason: str


class Error(Struct, frozen=True, kw_only=True, tag="error"):
    """What was wrong with a frame. The connection stays open unless a close follows."""

    code: str
    message: str


ToClient = Welcome | Snapshot | Tick | Move | Presence | Answered | Pong | Refreshed | Error | ToRoom

encode = msgspec.json.Encoder().encode
decode_from_client = msgspec.json.Decoder(FromClient).decode
decode_stream_end = msgspec.json.Decoder(StreamEnd).decode
decode_to_client = msgspec.json.Decoder(ToClient).decode


class _Envelope(Struct, frozen=True, kw_only=True):
    type: str
    seq: RoomSeq = RoomSeq(0)
    at: int = 0
    data: msgspec.Raw = msgspec.Raw()  # empty where the frame has none; msgspec decodes no `Raw | None`


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_fact_decoders = {name: msgspec.json.Decoder(fact).decode for name, fact in FACTS.items()}


def encode_event(seq: RoomSeq, at: int, fact: Fact) -> bytes:
    """The frame of a numbered event, exactly as clients receive it and as the log keeps it."""
    return encode(NumberedEvent(seq=seq, type=fact.type, at=at, data=fact))


def decode_event(frame: str | bytes) -> NumberedEvent:
    """A numbered event. Raises msgspec.DecodeError where the frame is something else."""
    envelope = _decode_envelope(frame)
    if not bytes(envelope.data) or (decode := _fact_decoders.get(envelope.type)) is None:
        raise msgspec.ValidationError(f"{envelope.type!r} is no numbered event")
    return NumberedEvent(seq=envelope.seq, type=envelope.type, at=envelope.at, data=decode(envelope.data))


def decode_frame(frame: str | bytes) -> NumberedEvent | ToClient:
    """A frame from the gateway. Raises msgspec.DecodeError where it is neither an event nor one of `ToClient`."""
    if bytes(_decode_envelope(frame).data):
        return decode_event(frame)
    to_client: ToClient = decode_to_client(frame)
    return to_client
