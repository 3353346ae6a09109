"""Every stream, group, key and channel name in Valkey. All of a room's keys share one hash tag, so one slot."""

from contracts.ids import SessionId

PUZZLE_EVENTS = "baton:events:puzzle"
POINTS_EVENTS = "baton:events:points"
PUZZLE_CONFIRMATIONS = "baton:confirmations:puzzle"
POINTS_CONFIRMATIONS = "baton:confirmations:points"
ROOM_REQUESTS = "baton:rooms:requests"

WATCHED_SHARDS = 16

POINTS_GROUP = "points"
PUZZLE_GROUP = "puzzle"
GROUP_OF = {
    PUZZLE_EVENTS: POINTS_GROUP,
    POINTS_EVENTS: PUZZLE_GROUP,
    PUZZLE_CONFIRMATIONS: PUZZLE_GROUP,
    POINTS_CONFIRMATIONS: POINTS_GROUP,
    ROOM_REQUESTS: POINTS_GROUP,
}
"""Each stream has one group of consumers, and is emptied by it."""


def shard_of(session_id: SessionId) -> int:
    """The shard of `watched_rooms` that a room is in. Ids are random, and so are their last bits."""
    return session_id.int % WATCHED_SHARDS


def watched_rooms(shard: int) -> str:
    """Sorted set: session ids by the instant (Unix milliseconds) until which some gateway has somebody in the room."""
    return f"baton:rooms:watched:{shard}"


def ticking_claim(shard: int) -> str:
    """There for a while after somebody has begun to tell the shard's rooms a tick."""
    return f"baton:rooms:ticking:{shard}"


def room_key(session_id: SessionId) -> str:
    """Hash: `epoch`, `seq` and `state` of the room, and as of the same event the `schedule` by which its points decay
    (services/points/repository/ticks.lua), empty while nobody plays."""
    return f"baton:room:{{{session_id}}}"


def room_log(session_id: SessionId) -> str:
    """Stream: the room's last events, each with the id `<seq>-0` and the frame in field `e`."""
    return f"baton:room:{{{session_id}}}:log"


def room_presence(session_id: SessionId) -> str:
    """Hash: who is in the room, as services/realtime/presence.lua keeps it."""
    return f"baton:room:{{{session_id}}}:presence"


def room_channel(session_id: SessionId) -> str:
    """Channel: `<seq> <frame>` for a numbered event, `0 <frame>` for an ephemeral message, and `=<seq> <frame>` for an
    ephemeral one by which the room's position is known to be `seq`.

    `=` may only be published as one step with reading `seq` from the room's hash: a channel is heard in order, so who
    has less by then has missed events for good.
    """
    return f"baton:room:{{{session_id}}}:live"


def room_names(session_id: SessionId) -> tuple[str, str, str]:
    """`room_key`, `room_log` and `room_channel`: to write an id as text costs more than all the rest of them."""
    key = room_key(session_id)
    return key, f"{key}:log", f"{key}:live"
