"""The HTTP application that every service starts from."""

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import structlog
import uvicorn
from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.kit import health, metrics
from services.kit.errors import ERROR_RESPONSES, add_error_handlers, problem_response
from services.kit.problem import Problem
from services.kit.server_settings import ServerSettings
from services.kit.settings import split

STARTUP_FAILED = 3
"""The exit code with which uvicorn says that its application did not start."""
MAX_BODY_BYTES = 64 * 1024


class _BodyLimit:
    """Refuses bodies over the limit, announced or streamed, before anybody parses them."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self._limit:
            await self._refuse(scope, receive, send)
            return
        messages: list[Message] = []
        size = 0
        while True:
            message = await receive()
            messages.append(message)
            size += len(message.get("body", b""))
            if size > self._limit:
                await self._refuse(scope, receive, send)
                return
            if message["type"] != "http.request" or not message.get("more_body", False):
                break
        replay = iter(messages)

        async def receive_again() -> Message:
            return next(replay, None) or await receive()

        await self._app(scope, receive_again, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = Problem(413, "body_too_large", f"A body may have at most {self._limit} bytes.")
        await problem_response(problem, {"Connection": "close"})(scope, receive, send)


class _Measure:
    """Times requests, and binds what identifies them to the logs. Pure ASGI, so that context variables hold."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        started = time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with structlog.contextvars.bound_contextvars(method=scope["method"], path=scope["path"]):
            try:
                await self._app(scope, receive, watch)
            finally:
                route = getattr(scope.get("route"), "path", "unknown")
                metrics.http_seconds.labels(self._service, scope["method"], route, status).observe(
                    time.perf_counter() - started
                )


def create_app(
    title: str,
    description: str,
    settings: ServerSettings,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[Any]],
    routers: list[APIRouter],
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
    if origins := split(settings.cors_origins):
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "X-Operator-Key"],
            expose_headers=["Retry-After"],
        )
    app.add_middleware(_BodyLimit)
    app.add_middleware(_Measure, service=title)
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
