"""Asking the worker to settle now rather than at its next round."""

import asyncio

from celery import Celery

from contracts.tasks import SETTLE


class Nudge:
    """Posted to a transaction, it asks for a settling after the commit."""


class Nudger:
    """Sends the request to the worker. Where the broker is away nothing is lost: beat asks again within a second."""

    def __init__(self, broker: str) -> None:
        self._celery = Celery(broker=broker, set_as_current=False)
        self._celery.conf.update(
            broker_transport_options={"socket_timeout": 2, "socket_connect_timeout": 2, "max_retries": 1},
            broker_connection_retry=False,
            task_ignore_result=True,
        )
        self._awake = asyncio.Event()

    def nudge(self) -> None:
        """Ask for a settling. Never blocks; several at once become one."""
        self._awake.set()

    async def run(self) -> None:
        """Send for ever what is asked for. Raises when the broker does not take it."""
        while True:
            await self._awake.wait()
            self._awake.clear()
            await asyncio.to_thread(self._celery.send_task, SETTLE, retry=False, expires=5)
