"""Publishes to groups as Channels' own documentation says: `group_send`."""

import asyncio
import os

from channels_redis.core import RedisChannelLayer

from tests.load.peers.apps.pace import publish

LANES = 16


async def main() -> None:
    layer = RedisChannelLayer(hosts=[os.environ["REDIS_URL"]], capacity=100_000)

    async def tell(room: str, frame: str) -> None:
        await layer.group_send(room, {"type": "tell", "text": frame})

    await publish(tell, LANES)


asyncio.run(main())
