"""The fan-out that most tutorials show: FastAPI, redis-py's asyncio pub/sub, and `await send_text` for each client."""

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from redis.asyncio import Redis

rooms: dict[str, set[WebSocket]] = defaultdict(set)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with Redis.from_url(os.environ["REDIS_URL"]) as redis, redis.pubsub() as pubsub:
        await pubsub.subscribe("none")
        app.state.pubsub = pubsub

        async def listen() -> None:
            async for message in pubsub.listen():
                if message["type"] == "message":
                    text = message["data"].decode().partition(" ")[2]
                    for websocket in list(rooms[message["channel"].decode()]):
                        await websocket.send_text(text)

        listening = asyncio.create_task(listen())
        yield
        listening.cancel()


app = FastAPI(lifespan=lifespan)


@app.websocket("/ws/game/{session_id}")
async def game(websocket: WebSocket, session_id: str) -> None:
    await websocket.accept()
    channel = f"baton:room:{{{session_id}}}:live"
    if not rooms[channel]:
        await app.state.pubsub.subscribe(channel)
    rooms[channel].add(websocket)
    await websocket.send_text('{"joined":true}')
    try:
        while True:
            await websocket.receive_text()
    except WebSocketDisconnect:
        rooms[channel].discard(websocket)
