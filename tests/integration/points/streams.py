"""The puzzle service's side of the streams between it and points, and a look at what became of them."""

from collections.abc import Iterable
from typing import Any

from redis.asyncio import Redis

from contracts.channels import POINTS_GROUP, PUZZLE_CONFIRMATIONS, PUZZLE_EVENTS
from contracts.events import PuzzleEvent, decode_confirmation, encode
from contracts.ids import EventId


async def send(redis: Redis, events: Iterable[PuzzleEvent]) -> None:
    """Put events on the stream, as the puzzle service's outbox does."""
    for event in events:
        await redis.xadd(PUZZLE_EVENTS, {"e": encode(event)})


async def confirmed(redis: Redis) -> set[EventId]:
    """The events that points has confirmed."""
    entries: Any = await redis.xrange(PUZZLE_CONFIRMATIONS)
    return {decode_confirmation(fields[b"e"]).event_id for _, fields in entries}


async def pending(redis: Redis) -> int:
    """Entries that were handed to a consumer of points and are not acknowledged."""
    found: Any = await redis.xpending(PUZZLE_EVENTS, POINTS_GROUP)
    return int(found["pending"])


async def all_handled(redis: Redis) -> bool:
    """Nothing waits in the stream, and nothing is in a consumer's hands."""
    groups: Any = await redis.xinfo_groups(PUZZLE_EVENTS)
    return all(group["lag"] == 0 and group["pending"] == 0 for group in groups)
