"""The points service put together: `python -m services points`."""

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI

from services.kit import logs
from services.kit.database import Database
from services.kit.database_errors import DATABASE_ERRORS
from services.kit.health import Health
from services.kit.outbox import Outgoing, Relay
from services.kit.redis_client import connect
from services.kit.rooms import Publication, Rooms
from services.kit.settings import load, split
from services.kit.supervise import Supervisor
from services.kit.tokens import TOKENS_REMEMBERED, Signer, Verifier
from services.kit.web import create_app, serve
from services.points.consumer import Consumers
from services.points.models import SCHEMA, Idempotency
from services.points.routers import leaderboard, points, sessions, teams, tokens
from services.points.service.announcing import Announcer
from services.points.service.measuring import keep_measuring
from services.points.service.nudging import Nudge, Nudger
from services.points.settings import PointsSettings

DESCRIPTION = (
    "Teams, players, sessions, rules, the ledger and results. It decides who has how many points, and since when."
)


def application(settings: PointsSettings) -> FastAPI:
    """The service's application; what it needs is connected when it starts, and released when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        redis = connect(settings.redis_url)
        relay = Relay(redis)
        nudger = Nudger(settings.broker)

        def deliver(posted: Sequence[Any]) -> None:
            relay.send([message for message in posted if isinstance(message, Outgoing)])
            announcer.announce([message for message in posted if isinstance(message, Publication)])
            if any(isinstance(message, Nudge) for message in posted):
                nudger.nudge()

        database = Database(settings.database_url, f"baton_{SCHEMA}", deliver=deliver, pool_size=settings.pool_size)
        announcer = Announcer(database, Rooms(redis, settings.finished_room_s * 1000))
        consumers = Consumers(database, redis, announcer, f"{socket.gethostname()}-{settings.port}")
        async with Supervisor() as supervisor:
            app.state.settings = settings
            app.state.database = database
            app.state.idempotency = Idempotency
            app.state.signer = Signer(settings.private_key, settings.token_lifetime_s)
            app.state.verifier = Verifier(split(settings.public_keys), remembered=TOKENS_REMEMBERED)
            app.state.health = Health(supervisor, required={"database": database.ping}, helpful={"valkey": redis.ping})
            supervisor.start("relay", relay.run)
            supervisor.start("announcer", announcer.run)
            supervisor.start("told rooms", announcer.run_forgetting)
            supervisor.start("nudger", nudger.run)
            supervisor.start("puzzle events", consumers.events.run)
            supervisor.start("confirmations", consumers.confirmations.run)
            supervisor.start("room requests", consumers.room_requests.run)
            supervisor.start("measuring", partial(keep_measuring, database))
            yield
        await redis.aclose()
        await database.close()

    routers = [teams.router, tokens.router, sessions.router, points.router, leaderboard.router]
    return create_app(SCHEMA, DESCRIPTION, settings, lifespan, routers, exception_handlers=DATABASE_ERRORS)


def main() -> None:
    """Run the service until it is told to stop."""
    settings = load(PointsSettings)
    logs.configure(settings, SCHEMA)
    serve(application(settings), settings)
