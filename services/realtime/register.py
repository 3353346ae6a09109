"""Who is in which room over all gateways, kept in Valkey: each reports its own people, a script puts them together."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, NewType

from redis.asyncio import RedisCluster
from redis.exceptions import NoScriptError

from contracts.channels import room_channel, room_presence
from contracts.ids import SessionId
from services.kit import metrics
from services.kit.redis_client import ValkeyClient, publish_command
from services.kit.tokens import Identity

SCRIPT = Path(__file__).with_name("presence.lua").read_text()
RENEWAL = Path(__file__).with_name("presence_renew.lua").read_text()

ROOMS_A_SCRIPT = 250
"""How many rooms of one server are renewed in one command; of a cluster, each may be somewhere else."""
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
        results = await self._call(SCRIPT, [self._words_of(report) for report in reports])
        metrics.presence_reports.inc(len(reports))
        return [result if isinstance(result, Exception) else result / 1000 or None for result in results]

    async def renew(self, session_ids: Sequence[SessionId]) -> dict[SessionId, float | None]:
        """Say that in these rooms all is as it was reported last, in one round trip.

        Returns those where all is as it was, with what `report` would return. All others have to be reported on. Raises
        RedisError or OSError when none could be renewed.
        """
        size = 1 if isinstance(self._redis, RedisCluster) else ROOMS_A_SCRIPT
        parts = [session_ids[start : start + size] for start in range(0, len(session_ids), size)]
        calls = [[len(part), *map(room_presence, part), *self._head[:3]] for part in parts]
        renewed = {}
        for part, results in zip(parts, await self._call(RENEWAL, calls), strict=True):
            if not isinstance(results, Exception):
                for session_id, result in zip(part, results, strict=True):
                    if result >= 0:
                        renewed[session_id] = result / 1000 or None
        metrics.presence_reports.inc(len(renewed))
        return renewed

    def _words_of(self, report: Report) -> list[Any]:
        session_id, people, more, tell = report
        # One word, since it is the number of words that a call costs.
        said = " ".join([str(more), *[f"{person} {count}" for person, count in people]]) if people else ""
        keys = 2, room_presence(session_id), room_channel(session_id)
        return [*keys, *self._head, "1" if tell else "0", NAMED, said]

    async def _call(self, script: str, calls: Sequence[Sequence[Any]]) -> list[Any]:
        """What the script returns, or raised, for each call."""
        sha = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        results: list[Any] = []
        for command, word in (("EVALSHA", sha), ("EVAL", script)):
            pipeline = self._redis.pipeline(transaction=False)
            for words in calls:
                pipeline.execute_command(command, word, *words)
            results = await pipeline.execute(raise_on_error=False)
            if not any(isinstance(result, NoScriptError) for result in results):
                break
        return results
