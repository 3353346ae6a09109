"""What stands before an application: requests are measured, their bodies limited, and frequent ones take a short way.

FastAPI takes some ten times as long as what it is asked for here. So a service may name one kind of request that is
served before it. Only requests with nothing unusual go that way; what is to be refused, the application refuses.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.kit import metrics
from services.kit.errors import problem_response
from services.kit.problem import Problem

MAX_BODY_BYTES = 64 * 1024

Handlers = Mapping[Any, Callable[[Request, Any], Any]]
"""How an application responds to exceptions, by their type: FastAPI's `exception_handlers`."""


@dataclass(frozen=True, slots=True)
class ShortWay:
    """One kind of request that need not go through the whole application.

    `take` is given the request's scope and body. It returns None for what it does not know to be well-formed, having
    done nothing, or what comes of the request: the body of a response, as JSON, or an exception.
    """

    route: str
    """The same route as the application has it."""
    take: Callable[[Scope, bytes], Awaitable[bytes] | None]


class Front:
    """Measures requests, binds what identifies them to the logs, and refuses bodies over the limit, announced or
    streamed, before anybody parses them. Pure ASGI, so that context variables hold.
    """

    def __init__(
        self,
        app: ASGIApp,
        service: str,
        handlers: Handlers,
        short_way: ShortWay | None = None,
        limit: int = MAX_BODY_BYTES,
    ) -> None:
        self._app = app
        self._service = service
        self._handlers = handlers
        self._short_way = short_way
        self._limit = limit

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

        try:
            await self._serve(scope, receive, watch)
        finally:
            route = getattr(scope.get("route"), "path", "unknown")
            metrics.http_seconds.labels(self._service, scope["method"], route, status).observe(
                time.perf_counter() - started
            )

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        messages = await self._read(scope, receive)
        if messages is None:
            problem = Problem(413, "body_too_large", f"A body may have at most {self._limit} bytes.")
            await problem_response(problem, {"Connection": "close"})(scope, receive, send)
            return
        if self._short_way is not None and messages[-1]["type"] == "http.request":
            work = self._short_way.take(scope, b"".join(message.get("body", b"") for message in messages))
            if work is not None:
                scope["route"] = _Route(self._short_way.route)
                await self._short(work, scope, receive, send)
                return
        replay = iter(messages)

        async def receive_again() -> Message:
            return next(replay, None) or await receive()

        with structlog.contextvars.bound_contextvars(method=scope["method"], path=scope["path"]):
            await self._app(scope, receive_again, send)

    async def _read(self, scope: Scope, receive: Receive) -> list[Message] | None:
        """The whole body as it came, or None where it is too large."""
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > self._limit:
                return None
        messages: list[Message] = []
        size = 0
        while True:
            message = await receive()
            messages.append(message)
            size += len(message.get("body", b""))
            if size > self._limit:
                return None
            if message["type"] != "http.request" or not message.get("more_body", False):
                return messages

    async def _short(self, work: Awaitable[bytes], scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await work
        except Exception as error:
            handler = next((self._handlers[kind] for kind in type(error).__mro__ if kind in self._handlers), None)
            if handler is None or handler is self._handlers.get(Exception):
                raise  # to who handles what nobody expects
            with structlog.contextvars.bound_contextvars(method=scope["method"], path=scope["path"]):
                response: Response = handler(Request(scope), error)
            await response(scope, receive, send)
            return
        headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@dataclass(frozen=True, slots=True)
class _Route:
    path: str
