"""The HTTP application that every service starts from."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware

from services.kit import health
from services.kit.errors import ERROR_RESPONSES, add_error_handlers
from services.kit.front import Front, ShortWay
from services.kit.server_settings import ServerSettings
from services.kit.settings import split

STARTUP_FAILED = 3
"""The exit code with which uvicorn says that its application did not start."""


def create_app(
    title: str,
    description: str,
    settings: ServerSettings,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[Any]],
    routers: list[APIRouter],
    *,
    short_way: ShortWay | None = None,
    **options: Any,
) -> FastAPI:
    """An application with problem documents, health, metrics, body limit and CORS."""
    app = FastAPI(
        title=f"Baton {title}",
        description=description,
        version="0.1.0",
        lifespan=lifespan,
        responses=ERROR_RESPONSES,
        **options,
    )
    add_error_handlers(app)
    for router in [*routers, health.router]:
        app.include_router(router)
    origins = split(settings.cors_origins)
    app.state.has_cors = bool(origins)
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "X-Operator-Key"],
            expose_headers=["Retry-After"],
        )
    app.add_middleware(Front, service=title, handlers=app.exception_handlers, short_way=short_way)
    return app


def serve(
    app: FastAPI, settings: ServerSettings, *, server: type[uvicorn.Server] = uvicorn.Server, **options: Any
) -> None:
    """Run the application until it is told to stop."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
        **options,
    )
    running = server(config)
    with suppress(KeyboardInterrupt):
        running.run()
    if not running.started:
        raise SystemExit(STARTUP_FAILED)
