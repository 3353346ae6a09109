"""⑤ What points listens to: the puzzle service's events, its confirmations, and gateways that miss a room."""

from collections.abc import Sequence

import msgspec

from contracts.channels import (
    POINTS_CONFIRMATIONS,
    POINTS_GROUP,
    PUZZLE_CONFIRMATIONS,
    PUZZLE_EVENTS,
    ROOM_REQUESTS,
)
from contracts.events import PuzzleEvent, decode_puzzle_event, decode_rebuild_room
from services.kit.confirmations import Confirmations
from services.kit.database import Database, Transaction
from services.kit.dead_letters import give_up_or_retry
from services.kit.redis_client import ValkeyClient
from services.kit.streams import Consumer, Outcome
from services.points.repository.outbox import dead_letters, outbox
from services.points.service import answers
from services.points.service.announcing import Announcer


class Consumers:
    """The consumers of one process. `name` is the same each time the process is started in its place."""

    def __init__(self, database: Database, redis: ValkeyClient, announcer: Announcer, name: str) -> None:
        self._database = database
        self._announcer = announcer
        self.events = Consumer(
            redis,
            stream=PUZZLE_EVENTS,
            group=POINTS_GROUP,
            name=name,
            apply=self._apply,
            apply_all=self._apply_all,
            failed=self._event_failed,
            confirmations=PUZZLE_CONFIRMATIONS,
        )
        self.confirmations = Confirmations(
            redis, database, outbox, stream=POINTS_CONFIRMATIONS, group=POINTS_GROUP, name=name
        )
        self.room_requests = Consumer(
            redis,
            stream=ROOM_REQUESTS,
            group=POINTS_GROUP,
            name=name,
            apply=self._rebuild,
            failed=self._request_failed,
        )

    async def _apply(self, payload: bytes) -> Outcome:
        event = decode_puzzle_event(payload)
        async with self._database.transaction() as transaction:
            return await answers.apply(transaction, event)

    async def _apply_all(self, payloads: Sequence[bytes]) -> list[Outcome]:
        outcomes = [Outcome.ALONE] * len(payloads)
        events = {number: event for number, payload in enumerate(payloads) if (event := _event(payload)) is not None}
        async with self._database.transaction() as transaction:
            applied = await answers.apply_all(transaction, list(events.values()))
        for number, outcome in zip(events, applied, strict=True):
            outcomes[number] = outcome
        return outcomes

    async def _rebuild(self, payload: bytes) -> Outcome:
        await self._announcer.rebuild(decode_rebuild_room(payload).session_id)
        return Outcome.DONE

    async def _event_failed(self, key: str, payload: bytes, error: Exception) -> bool:
        failure = key, payload, error
        return await give_up_or_retry(self._database, dead_letters, PUZZLE_EVENTS, failure, skip=_skip_event)

    async def _request_failed(self, key: str, payload: bytes, error: Exception) -> bool:
        """Requests are no facts: nobody waits behind one, and whoever needs it asks again."""
        failure = key, payload, error
        return await give_up_or_retry(self._database, dead_letters, ROOM_REQUESTS, failure, skip=_skip_nothing)


def _event(payload: bytes) -> PuzzleEvent | None:
    """The event, or None where it is none: that is raised when it is applied alone."""
    try:
        event: PuzzleEvent = decode_puzzle_event(payload)
    except msgspec.MsgspecError:
        return None
    return event


async def _skip_event(transaction: Transaction, payload: bytes) -> None:
    await answers.skip(transaction, decode_puzzle_event(payload))


async def _skip_nothing(transaction: Transaction, payload: bytes) -> None:
    """No order to keep."""
