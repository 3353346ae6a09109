"""All processes together: started, waited for, watched, and stopped in an order that loses nothing."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import httpx

from baton.logs import Printer
from baton.ping import worker_answers
from baton.processes import Child, Command, DiedForGoodError, RestartPolicy
from baton.server import Server, ServerError

STOP_ORDER = (("realtime",), ("puzzle", "points"), ("beat", "worker"))


class Supervisor:
    """Runs the processes until a signal comes or one of them, or one of the servers, dies for good."""

    def __init__(
        self,
        commands: Sequence[Command],
        servers: Sequence[Server],
        printer: Printer,
        announce: Callable[[], None],
        *,
        ready_within: float = 90.0,
    ) -> None:
        self._printer = printer
        self._servers = servers
        self._announce = announce
        self._ready_within = ready_within
        self._children = {command.name: Child(command, printer.line) for command in commands}
        self._told_to_stop = asyncio.Event()

    async def run(self) -> int:
        """Return 0 when told to stop. Raises DiedForGoodError. Whatever happens, the processes are gone afterwards."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN or number is signal.SIGINT:
                loop.add_signal_handler(number, self._on_signal)
        runs = [asyncio.create_task(child.run()) for child in self._children.values()]
        others = [asyncio.create_task(work) for work in self._work()]
        try:
            await _first_failure_or(self._told_to_stop, [*runs, *others])
            return 0
        finally:
            for task in others:
                task.cancel()
            self._printer.line("baton", "stopping")
            await self._stop_all()
            await asyncio.gather(*runs, *others, return_exceptions=True)

    def _work(self) -> list[Coroutine[Any, Any, None]]:
        return [self._announce_when_ready(), *(self._watch(server) for server in self._servers)]

    def _on_signal(self) -> None:
        if self._told_to_stop.is_set():  # asked twice: somebody is in a hurry
            for child in self._children.values():
                child.kill()
        self._told_to_stop.set()

    async def _stop_all(self) -> None:
        named = {name for group in STOP_ORDER for name in group}
        for group in (*STOP_ORDER, tuple(self._children.keys() - named)):
            await asyncio.gather(*(self._children[name].stop() for name in group if name in self._children))

    async def _announce_when_ready(self) -> None:
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
            waits = [
                asyncio.create_task(wait_until_ready(child, client), name=name)
                for name, child in self._children.items()
            ]
            try:
                done, late = await asyncio.wait(waits, timeout=self._ready_within)
                for wait in done:
                    await wait
            finally:
                for wait in waits:
                    wait.cancel()
        if late:
            names = ", ".join(sorted(wait.get_name() for wait in late))
            raise DiedForGoodError(f"not ready after {self._ready_within:.0f} s: {names}")
        self._announce()

    async def _watch(self, server: Server) -> None:
        policy = RestartPolicy()
        while True:
            await asyncio.sleep(0.5)
            if server.pid is not None:
                continue
            delay = policy.delay_after_death(1, asyncio.get_running_loop().time())
            if delay is None:
                raise DiedForGoodError(f"{server.name} died again and again:{server.last_words()}")
            self._printer.line("baton", f"{server.name} died; it is started again")
            await asyncio.sleep(delay)
            try:
                # On this thread, though it blocks for a moment: the server ends with the thread that started it.
                server.start()
            except ServerError as error:
                raise DiedForGoodError(str(error)) from error


async def wait_until_ready(child: Child, client: httpx.AsyncClient) -> None:
    """Return when the child is ready, in the way that its command tells."""
    command = child.command
    if command.ready_url is not None:
        await _repeat(partial(_is_well, client, command.ready_url))
    elif command.ready_ping is not None:
        await _repeat(partial(asyncio.to_thread, worker_answers, *command.ready_ping))
    elif command.ready_line is not None:
        await child.ready.wait()


async def _repeat(question: Callable[[], Awaitable[bool]]) -> None:
    while not await question():  # noqa: ASYNC110 (another process changes it, which sets no event here)
        await asyncio.sleep(0.1)


async def _is_well(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == httpx.codes.OK
    except httpx.TransportError:  # it does not listen yet
        return False


async def _first_failure_or(event: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Return when the event is set; raise what the first failing task raised. Tasks may end well meanwhile."""
    stop = asyncio.create_task(event.wait())
    pending: set[asyncio.Task[Any]] = {stop, *tasks}
    try:
        while not stop.done():
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                await task
    finally:
        stop.cancel()
