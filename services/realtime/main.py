"""Where the gateway is put together: `python -m services realtime`."""

import asyncio
import gc
import resource
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from fastapi import FastAPI

from services.kit import logs, web
from services.kit.health import Health
from services.kit.redis_client import connect
from services.kit.rooms import Rooms
from services.kit.settings import load, split
from services.kit.supervise import Supervisor
from services.kit.tokens import Verifier
from services.realtime.answers import Answers
from services.realtime.drain import Drain, DrainingServer
from services.realtime.entrance import Entrance
from services.realtime.http_protocol import HttpProtocol
from services.realtime.hub import Hub
from services.realtime.inbound import Outlets
from services.realtime.limits import Limits
from services.realtime.listener import Listener
from services.realtime.presence import Presence
from services.realtime.publisher import Publisher
from services.realtime.recovery import RoomReader
from services.realtime.register import Register
from services.realtime.repair import Repairs
from services.realtime.routers import config, page, sse, ws
from services.realtime.settings import RealtimeSettings
from services.realtime.socket_protocol import SocketProtocol
from services.realtime.topology import topology_of
from services.realtime.upkeep import Upkeep
from services.realtime.visit import Visits

log = structlog.get_logger()

PING_EVERY_S = 25.0
"""A client that has not answered one ping by the next is gone: noticed within twice that time."""
SPARE_FILES = 256
"""What a gateway needs besides its sockets: connections to Valkey, and those of health checks."""
DESCRIPTION = "Where clients are told what happens, at once and in order. The socket's protocol is in docs/protocol.md."


def create_app(settings: RealtimeSettings) -> FastAPI:
    """The gateway with these settings."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
        redis = connect(settings.redis_url)
        reader = RoomReader(redis)
        repairs = Repairs(reader)
        hub = Hub(on_gap=repairs.start, call_soon=asyncio.get_running_loop().call_soon)
        ttl_s, grace_s = settings.presence_ttl_s, settings.presence_grace_s
        register = Register(redis, secrets.token_hex(6), ttl_s=ttl_s, grace_s=grace_s)
        presence = Presence(register, ttl_s=ttl_s, grace_s=grace_s)
        publisher = Publisher(Rooms(redis))
        answers = Answers(settings.puzzle_internal_url)

        def look_again() -> None:
            upkeep.check_now()
            presence.tell_again()

        listener = Listener(
            topology_of(redis), on_connected=look_again, before_reading=hub.hold, after_reading=hub.flush
        )
        upkeep = Upkeep(redis, hub, reader, repairs, listener)
        limits = Limits(settings)
        entrance = Entrance(hub, listener, reader, upkeep, replay_bytes=settings.send_queue_bytes // 2)
        async with Supervisor(longest_delay_s=2.0) as supervisor:
            supervisor.start("listener", listener.run)
            supervisor.start("probe", listener.probe)
            supervisor.start("positions", upkeep.check_positions)
            supervisor.start("watched rooms", upkeep.keep_watched)
            supervisor.start("empty rooms", upkeep.close_empty)
            supervisor.start("presence", presence.run)
            supervisor.start("publisher", publisher.run)
            app.state.verifier = verifier = Verifier(split(settings.public_keys))
            outlets = Outlets(publisher, answers, verifier, settings.max_frame_bytes)
            app.state.visits = visits = Visits(settings, verifier, entrance, limits, presence, outlets)
            app.state.health = Health(
                supervisor, required={"listener": listener.check, "valkey": redis.ping, "open": limits.check_open}
            )
            yield {"drain": Drain(settings, limits, hub)}
        await visits.close()
        await answers.close()
        await presence.close()
        await repairs.close()
        await reader.close()
        await redis.aclose()

    routers = [config.router, ws.router, sse.router, page.router]
    app = web.create_app("realtime", DESCRIPTION, settings, lifespan, routers)
    app.state.settings = settings
    page.mount_assets(app)
    return app


def server_options(settings: RealtimeSettings) -> dict[str, Any]:
    """How uvicorn is to treat sockets; its own defaults are too generous."""
    return {
        "http": HttpProtocol,
        "ws": SocketProtocol,
        # A frame a little over the limit is closed with our own code; one far over it is not even read.
        "ws_max_size": 4 * settings.max_frame_bytes,
        "ws_per_message_deflate": False,
        "ws_ping_interval": PING_EVERY_S,
    }


def _allow_files(sockets: int) -> None:
    """Raise the soft limit of open files as far as this process may, and say so where that is not enough."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < sockets + SPARE_FILES:
        log.warning("too_few_files", limit=hard, needed=sockets + SPARE_FILES, hint="raise ulimit -n")


def _collect_garbage_rarely() -> None:
    """What lives is modules and clients, which stay, and hold each other in no circles when they go. To look through
    100 000 objects takes 10 ms, in which nobody is served; so it is the youngest that are looked through.
    """
    gc.freeze()
    gc.set_threshold(10_000, 2, 1_000)


def main() -> None:
    """Run the gateway until it is told to stop."""
    settings = load(RealtimeSettings)
    logs.configure(settings, "realtime")
    _allow_files(settings.max_connections)
    _collect_garbage_rarely()
    web.serve(create_app(settings), settings, server=DrainingServer, **server_options(settings))
