"""Who is in which room over all gateways, kept in Valkey: each reports its own people, a script puts them together."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NewType

from redis.exceptions import NoScriptError

from contracts.channels import room_channel, room_presence
from contracts.ids import SessionId
from services.kit import metrics
from services.kit.redis_client import ValkeyClient, publish_command
from services.kit.tokens import Identity

SCRIPT = Path(__file__).with_name("presence.lua").read_text()
SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()

NAMED = 64
"""So many people are listed at most. Players always are: a session has 16 seats."""


Person = NewType("Person", str)
"""Whose connections are counted together: `<role>:<subject>`, as the script knows them."""


def person_of(identity: Identity) -> Person:
    return Person(f"{identity.role}:{identity.subject}")


class Report(NamedTuple):
    """Who is in a room by this gateway's sockets, on how many; `more` are there without being named.

    If `tell`, the room is told who is there also where that has not changed: somebody has come who does not know.
    """

    session_id: SessionId
    people: Sequence[tuple[Person, int]]
    more: int = 0
    tell: bool = False


class Register:
    """The register as one gateway sees it. What it said is forgotten after `ttl_s`; who has closed the last connection
    is listed, with one, for another `grace_s`, and has not been away if there is a new one by then.
    """

    def __init__(self, redis: ValkeyClient, gateway: str, *, ttl_s: float, grace_s: float) -> None:
        self._redis = redis
        self._head = (gateway, round(ttl_s * 1000), round(grace_s * 1000), publish_command(redis))

    async def report(self, reports: Sequence[Report]) -> list[float | Exception | None]:
        """Report on many rooms in one round trip; rooms whose list has changed are told it.

        Returns for each after how many seconds it needs a report again so that somebody's end is noticed, None if
        nobody's is foreseen, or why that room could not be reported. Raises RedisError or OSError when none could.
        """
        results = await self._call("EVALSHA", SHA, reports)
        if any(isinstance(result, NoScriptError) for result in results):
            results = await self._call("EVAL", SCRIPT, reports)
        metrics.presence_reports.inc(len(reports))
        return [result if isinstance(result, Exception) else result / 1000 or None for result in results]

    async def _call(self, command: str, script: str, reports: Sequence[Report]) -> list[int | Exception]:
        pipeline = self._redis.pipeline(transaction=False)
        for session_id, people, more, tell in reports:
            # One word, since it is the number of words that a call costs.
            report = " ".join([str(more), *[f"{person} {count}" for person, count in people]]) if people else ""
            key, channel = room_presence(session_id), room_channel(session_id)
            tail = "1" if tell else "0", NAMED, report
            pipeline.execute_command(command, script, 2, key, channel, *self._head, *tail)
        results: list[int | Exception] = await pipeline.execute(raise_on_error=False)
        return results
