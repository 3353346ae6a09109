"""Django Channels with channels_redis: one group for each room."""

import os

import django
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls import path

settings.configure(
    SECRET_KEY="benchmark",
    ALLOWED_HOSTS=["*"],
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {"hosts": [os.environ["REDIS_URL"]], "capacity": 100_000},
        }
    },
)
django.setup()


class Game(AsyncWebsocketConsumer):
    """A member of a room."""

    async def connect(self) -> None:
        self.group = self.scope["url_route"]["kwargs"]["session_id"]
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()
        await self.send(text_data='{"joined":true}')

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.group, self.channel_name)

    async def tell(self, event: dict[str, str]) -> None:
        """What the group is told."""
        await self.send(text_data=event["text"])


app = ProtocolTypeRouter({"websocket": URLRouter([path("ws/game/<str:session_id>", Game.as_asgi())])})
