"""Gateways as they are run in earnest: processes of their own."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import BinaryIO, NamedTuple

import httpx

from baton.ports import any_free
from tests.integration.realtime.clients import until


class Gateway(NamedTuple):
    """A running gateway and its address."""

    url: str
    process: asyncio.subprocess.Process


@asynccontextmanager
async def gateway(
    redis_url: str, http: httpx.AsyncClient, output: BinaryIO | None = None, /, **settings: str
) -> AsyncIterator[Gateway]:
    """A gateway with these variables of its environment, ready; it is gone after the block. `output` takes its log."""
    port = any_free()
    environment = (
        os.environ | {"REDIS_URL": redis_url, "BATON_PORT": str(port), "BATON_LOG_LEVEL": "WARNING"} | settings
    )
    command = [sys.executable, "-m", "services", "realtime"]
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"

    async def ready() -> bool:
        assert process.returncode is None
        try:
            return (await http.get(f"{url}/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    try:
        await until(ready)
        yield Gateway(url, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
