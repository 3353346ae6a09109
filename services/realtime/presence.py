"""Who is in this gateway's rooms, reported when it changes and again and again while somebody is there.

Presence is droppable: a report that fails makes nobody wait and closes nobody, and the next one makes it good.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import islice
from typing import Final, Protocol

import structlog
from redis.exceptions import RedisError

from contracts.ids import SessionId
from services.kit.supervise import wait
from services.kit.tokens import Identity, Role
from services.realtime.register import NAMED, Person, Report, person_of
from services.realtime.rounds import STEP_S

log = structlog.get_logger()

ROOMS_A_CALL: Final = 256
PAUSE_S: Final = 0.02
"""Whoever comes within so long is reported together."""
A_PERSON_S: Final = 0.001
LONGEST_SPACE_S: Final = 1.0
"""A crowd's list is long and goes to many: the more there are in a room, the less often it is told, down to this."""
LAST_REPORT_S: Final = 1.0


class Reports(Protocol):
    """Where reports go. See services/realtime/register.py."""

    async def report(self, reports: Sequence[Report]) -> list[float | Exception | None]: ...

    async def renew(self, session_ids: Sequence[SessionId]) -> dict[SessionId, float | None]: ...


class _Here:
    """A room's people in this gateway, with their connections."""

    __slots__ = ("changed", "connections", "not_before", "tell", "timer")

    def __init__(self) -> None:
        self.connections: Counter[Person] = Counter()
        self.changed = True
        self.not_before = 0.0
        self.tell = False
        self.timer: asyncio.TimerHandle | None = None


class Presence:
    """`run` is to be kept running. What is here is reported at least every third of `ttl_s`."""

    def __init__(self, register: Reports, *, ttl_s: float, grace_s: float) -> None:
        self._register = register
        self._refresh_s = ttl_s / 3
        self._steps = max(1, round(self._refresh_s / STEP_S))
        self._step_s = self._refresh_s / self._steps
        self._step = 0
        self._grace_s = grace_s
        self._rooms: dict[SessionId, _Here] = {}
        self._due: set[SessionId] = set()
        self._wake = asyncio.Event()

    def join(self, session_id: SessionId, identity: Identity) -> None:
        """Somebody has opened a connection to the room: everybody in it is told who is there now."""
        here = self._rooms.setdefault(session_id, _Here())
        here.connections[person_of(identity)] += 1
        here.changed = here.tell = True
        self._report_soon(session_id, here)

    def leave(self, session_id: SessionId, identity: Identity) -> None:
        """A connection that had joined is closed."""
        here = self._rooms.get(session_id)
        if here is None:
            return  # after the last report
        person = person_of(identity)
        here.connections[person] -= 1
        if not here.connections[person]:
            del here.connections[person]
        here.changed = True
        self._report_soon(session_id, here)

    def tell_again(self) -> None:
        """Messages to this gateway were lost: have all its rooms told who is there."""
        for session_id, here in self._rooms.items():
            here.changed = here.tell = True
            self._report_soon(session_id, here)

    async def run(self) -> None:
        """Report for ever. Raises when Valkey does not answer; what was not reported stays due."""
        loop = asyncio.get_running_loop()
        if self._due:
            self._wake.set()
        while True:
            await wait(self._wake, max(0.0, self._step * self._step_s - loop.time()))
            self._renew_shares(int(loop.time() / self._step_s) + 1)
            while self._due:
                await self._report([self._due.pop() for _ in range(min(ROOMS_A_CALL, len(self._due)))])
            await asyncio.sleep(PAUSE_S)

    async def close(self) -> None:
        """Take leave for everybody, so that nobody has to wait for the end of this gateway's time."""
        rooms, self._rooms = self._rooms, {}
        for here in rooms.values():
            _cancel(here)
        leaves = [Report(session_id, []) for session_id in rooms]
        try:
            async with asyncio.timeout(LAST_REPORT_S):
                for start in range(0, len(leaves), ROOMS_A_CALL):
                    await self._register.report(leaves[start : start + ROOMS_A_CALL])
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("leave_not_reported", error=repr(error))

    def _report_soon(self, session_id: SessionId, here: _Here) -> None:
        self._report_in(session_id, here, here.not_before - asyncio.get_running_loop().time())

    def _report_in(self, session_id: SessionId, here: _Here, delay_s: float) -> None:
        """Report the room after so long, unless it is to be reported before that anyway."""
        if session_id in self._due:
            return
        if delay_s <= 0:
            self._become_due(session_id)
            return
        loop = asyncio.get_running_loop()
        if here.timer is None or here.timer.when() > loop.time() + delay_s:
            _cancel(here)
            here.timer = loop.call_later(delay_s, self._become_due, session_id)

    def _become_due(self, session_id: SessionId) -> None:
        _cancel(self._rooms[session_id])
        self._due.add(session_id)
        self._wake.set()

    def _renew_shares(self, step: int) -> None:
        """Let rooms be due that have not changed: a share of them at each step up to this, and in a round all."""
        if shares := {number % self._steps for number in range(max(self._step, step - self._steps), step)}:
            self._step = step
            for session_id, here in self._rooms.items():
                if session_id.int % self._steps in shares and here.connections and not here.changed:
                    _cancel(here)
                    self._due.add(session_id)

    async def _report(self, session_ids: list[SessionId]) -> None:
        renewed = await self._renew(session_ids)
        reports = [
            self._report_of(session_id, self._rooms[session_id])
            for session_id in session_ids
            if session_id not in renewed
        ]
        if not reports:
            return
        try:
            results = await self._register.report(reports)
        except BaseException:
            self._put_back(reports)
            raise
        failed = []
        for report, result in zip(reports, results, strict=True):
            if isinstance(result, Exception):
                self._put_back([report])
                failed.append(result)
            else:
                self._plan(report.session_id, result)
        if failed:
            raise failed[0]

    async def _renew(self, session_ids: list[SessionId]) -> Collection[SessionId]:
        """Those for which it was enough to say that nothing has changed, as nearly always."""
        unchanged = [
            session_id
            for session_id in session_ids
            if (here := self._rooms[session_id]).connections and not here.changed
        ]
        if not unchanged:
            return ()
        try:
            renewed = await self._register.renew(unchanged)
        except BaseException:
            self._due.update(session_ids)
            raise
        for session_id, ends_in_s in renewed.items():
            self._plan(session_id, ends_in_s)
        return renewed

    def _report_of(self, session_id: SessionId, here: _Here) -> Report:
        everybody = here.connections.items()
        if len(everybody) <= NAMED:
            named = list(everybody)
        else:
            seated = [item for item in everybody if not item[0].startswith(Role.SPECTATOR)]
            watching = (item for item in everybody if item[0].startswith(Role.SPECTATOR))
            named = [*seated, *islice(watching, max(0, NAMED - len(seated)))][:NAMED]
        more = here.connections.total() - sum(count for _, count in named)
        tell, here.tell = here.tell, False
        here.changed = False
        space_s = min(LONGEST_SPACE_S, len(everybody) * A_PERSON_S)
        here.not_before = asyncio.get_running_loop().time() + space_s
        return Report(session_id, named, more, tell)

    def _put_back(self, reports: Sequence[Report]) -> None:
        for report in reports:
            if here := self._rooms.get(report.session_id):
                here.changed = True
                here.tell |= report.tell
                self._due.add(report.session_id)

    def _plan(self, session_id: SessionId, ends_in_s: float | None) -> None:
        """When to report on the room next; or never, if nobody is or was just there."""
        here = self._rooms.get(session_id)
        if here is None or session_id in self._due:
            return
        if here.connections:
            if ends_in_s is not None and ends_in_s < self._refresh_s:
                self._report_in(session_id, here, ends_in_s)
        elif ends_in_s is not None and ends_in_s <= self._grace_s:
            self._report_in(session_id, here, ends_in_s)
        else:
            _cancel(here)
            del self._rooms[session_id]


def _cancel(here: _Here) -> None:
    if here.timer is not None:
        here.timer.cancel()
        here.timer = None
