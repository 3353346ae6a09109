"""Publishes to rooms by python-socketio's write-only manager."""

import asyncio
import json
import os

import socketio

from tests.load.peers.apps.pace import publish

LANES = 16


async def main() -> None:
    manager = socketio.AsyncRedisManager(os.environ["REDIS_URL"], write_only=True)

    async def tell(room: str, frame: str) -> None:
        await manager.emit("event", json.loads(frame), room=room)

    await publish(tell, LANES)


asyncio.run(main())
