"""The puzzle service: `python -m services puzzle`. Everything is put together here, and only here."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import structlog
from fastapi import FastAPI
from redis.exceptions import RedisError

from services.kit import logs, web
from services.kit.database import Database
from services.kit.database_errors import DATABASE_ERRORS
from services.kit.health import Health
from services.kit.outbox import Relay
from services.kit.redis_client import connect
from services.kit.settings import load, split
from services.kit.supervise import Supervisor
from services.kit.tokens import TOKENS_REMEMBERED, Verifier
from services.puzzle import models
from services.puzzle.consumer import confirmations, consumer_name, events_consumer
from services.puzzle.routers import puzzle
from services.puzzle.routers.well_formed import WELL_FORMED_ANSWERS
from services.puzzle.service.answering import Answers
from services.puzzle.service.measuring import keep_measuring
from services.puzzle.settings import PuzzleSettings
from services.puzzle.types.registry import installed

log = structlog.get_logger()

DESCRIPTION = "Deals puzzles, judges answers, and tells the points service what came of them."


def create_app(settings: PuzzleSettings) -> FastAPI:
    """The application; it connects when its lifespan begins. Raises BadPuzzleTypeError for a broken puzzle type."""
    types = installed()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        redis = connect(settings.redis_url)
        relay = Relay(redis)
        database = Database(settings.database_url, "baton_puzzle", deliver=relay.send, pool_size=settings.pool_size)
        name = consumer_name(settings.port)
        app.state.database = database
        app.state.answers = Answers(database, types)
        try:
            async with Supervisor() as supervisor:
                app.state.health = Health(
                    supervisor, required={"database": database.ping}, helpful={"valkey": redis.ping}
                )
                supervisor.start("relay", relay.run)
                supervisor.start("events", events_consumer(redis, database, types, name).run)
                supervisor.start("confirmations", confirmations(redis, database, name).run)
                supervisor.start("measuring", partial(keep_measuring, database))
                yield
            try:
                await relay.flush()
            except (RedisError, OSError) as error:
                log.warning("left_to_the_sweeper", error=repr(error))
        finally:
            await redis.aclose()
            await database.close()

    app = web.create_app(
        "puzzle",
        DESCRIPTION,
        settings,
        lifespan,
        [puzzle.router],
        short_way=WELL_FORMED_ANSWERS,
        exception_handlers=DATABASE_ERRORS,
    )
    app.state.types = types
    app.state.idempotency = models.Idempotency
    app.state.verifier = Verifier(split(settings.public_keys), remembered=TOKENS_REMEMBERED)
    return app


def main() -> None:
    """Run the service until it is told to stop."""
    settings = load(PuzzleSettings)
    logs.configure(settings, "puzzle")
    web.serve(create_app(settings), settings)
