"""④⑤ What the puzzle service hears from points: events about sessions, and confirmations of its own events."""

import functools
import socket

from contracts.channels import POINTS_CONFIRMATIONS, POINTS_EVENTS, PUZZLE_CONFIRMATIONS, PUZZLE_GROUP
from contracts.events import decode_points_event
from services.kit.confirmations import Confirmations
from services.kit.database import Database
from services.kit.redis_client import ValkeyClient
from services.kit.streams import Consumer, Outcome
from services.puzzle.service.dealing import outbox
from services.puzzle.service.failures import event_failed
from services.puzzle.service.roster import apply_points_event
from services.puzzle.types.registry import Registry


def consumer_name(port: int) -> str:
    """The same after a restart, so that a process goes on with what it was given before."""
    return f"{socket.gethostname()}-{port}"


def events_consumer(redis: ValkeyClient, database: Database, types: Registry, name: str) -> Consumer:
    """Keeps the roster."""

    async def apply(payload: bytes) -> Outcome:
        event = decode_points_event(payload)
        async with database.transaction() as transaction:
            return await apply_points_event(transaction, types, event)

    return Consumer(
        redis,
        stream=POINTS_EVENTS,
        group=PUZZLE_GROUP,
        name=name,
        apply=apply,
        failed=functools.partial(event_failed, database, POINTS_EVENTS),
        confirmations=POINTS_CONFIRMATIONS,
    )


def confirmations(redis: ValkeyClient, database: Database, name: str) -> Confirmations:
    """Empties the outbox of what has taken effect in points."""
    return Confirmations(redis, database, outbox, stream=PUZZLE_CONFIRMATIONS, group=PUZZLE_GROUP, name=name)
