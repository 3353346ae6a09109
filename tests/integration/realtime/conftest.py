"""Gateways on real ports, before this worker's Valkey."""

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import httpx
import psutil
import pytest
import structlog
import uvicorn
from fastapi import FastAPI
from redis.asyncio import Redis

from baton.servers import Valkey
from services.kit.redis_client import ValkeyClient, connect
from services.realtime.main import create_app, server_options
from services.realtime.settings import RealtimeSettings
from tests.integration.realtime.points import Points
from tests.integration.realtime.processes import gateway
from tests.integration.realtime.target import QUEUE_BYTES, Target
from tests.no_tls import NO_TLS


def serving(settings: RealtimeSettings) -> AbstractContextManager[str]:
    """A gateway in a thread of its own, until the end of the block."""
    return serving_app(create_app(settings), **server_options(settings))


@contextmanager
def serving_app(app: FastAPI, **options: Any) -> Iterator[str]:
    """An application in a thread of its own, until the end of the block."""
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False, timeout_graceful_shutdown=2, **options)
    server = uvicorn.Server(config)
    started = threading.Event()
    startup = server.startup

    async def announce(*args: Any, **kwargs: Any) -> None:
        try:
            await startup(*args, **kwargs)
        finally:
            started.set()

    server.startup = announce  # type: ignore[method-assign]  # uvicorn has no other sign that it listens
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert started.wait(10)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture(scope="session", autouse=True)
def _plain_tracebacks() -> Iterator[None]:
    """Log as a gateway does: with structlog's own default a traceback takes so long that everything else waits."""
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.stdlib.add_log_level, renderer])
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def gateway_url(redis_url: str) -> Iterator[str]:
    """A gateway with the default settings."""
    with serving(RealtimeSettings(redis_url=redis_url)) as url:
        yield url


@pytest.fixture
def new_gateway(redis_url: str) -> Iterator[Callable[..., str]]:
    """Starts one more gateway with these settings, and returns its address."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving(RealtimeSettings(**({"redis_url": redis_url} | settings))))


@pytest.fixture(scope="module")
async def target(redis_url: str, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    """A gateway in a process of its own, which has to outlive all that the tests of a file do to it."""
    log = tmp_path_factory.mktemp("gateway") / "log"
    settings = {"BATON_SEND_QUEUE_BYTES": str(QUEUE_BYTES), "BATON_JOIN_TIMEOUT_S": "1", "BATON_LOG_LEVEL": "INFO"}
    with log.open("wb") as output:
        async with (
            httpx.AsyncClient(trust_env=False, verify=NO_TLS) as http,
            gateway(redis_url, http, output, **settings) as running,
        ):
            yield Target(running.url, psutil.Process(running.process.pid), log, valkey.port)
            assert running.process.returncode is None


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[ValkeyClient]:
    client = connect(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
async def points(redis: Redis) -> AsyncIterator[Points]:
    """Points, with its consumer running."""
    service = Points(redis)
    async with service.answering():
        yield service


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
        yield client
