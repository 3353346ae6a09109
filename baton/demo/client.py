"""A small client of the public HTTP API."""

import asyncio
import contextlib
import ipaddress
import random
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import msgspec

from baton.demo.backoff import full_jitter
from baton.demo.replies import Config, Judged, Results, Seated, Session, TeamMade, TokenRefreshed
from contracts.ids import PuzzleId, SessionId

TRY_FOR_S = 30.0
AGAIN_AFTER = {502, 503, 504}
"""Nothing is known to have happened: the same request, with the same Idempotency-Key, may be sent again."""

ReplyT = TypeVar("ReplyT")


class ApiError(Exception):
    """A request was refused by a problem document with this `code`."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code


class UnreachableError(Exception):
    """No usable answer within the client's `try_for_s`."""


class _Problem(msgspec.Struct, frozen=True):
    code: str
    detail: str = ""


def is_loopback(url: str) -> bool:
    """Whether the address is this machine's own, where a proxy from the environment would be in the way."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass
class Tally:
    """What did not go well at once: requests sent again, and refusals by code."""

    retries: int = 0
    refused: Counter[str] = field(default_factory=Counter)


class Api:
    """Reads and writes are repeated on network errors and 503 for `try_for_s`; a write takes effect once.

    Methods raise ApiError where the server refuses, UnreachableError where it does not answer.
    """

    def __init__(
        self, url: str, tally: Tally, stack: contextlib.AsyncExitStack, tls: ssl.SSLContext, try_for_s: float
    ) -> None:
        self.url = url.rstrip("/")
        self.tally = tally
        self._try_for_s = try_for_s
        self._config = Config(protocol="", points_url="", puzzle_url="", socket_path="")
        self._stack = stack
        self._tls = tls
        self._chance = random.Random()
        # Connections are let go before the servers' usual 5 s of idling, so that none is used while it is closed.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=4.0)
        self._http = httpx.AsyncClient(limits=limits, timeout=10.0, trust_env=not is_loopback(url), verify=tls)
        stack.push_async_callback(self._http.aclose)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, url: str, *, try_for_s: float = TRY_FOR_S) -> AsyncIterator[Self]:
        """A client of the Baton whose gateway is at `url`."""
        async with contextlib.AsyncExitStack() as stack:
            api = cls(url, Tally(), stack, httpx.create_ssl_context(), try_for_s)
            api._config = await api._call(Config, "GET", f"{api.url}/config")
            yield api

    def another(self, stack: contextlib.AsyncExitStack | None = None) -> Self:
        """A client with connections of its own, closed with the first or with `stack`. It counts where the first does.

        Each bot has one, as each player has: httpx looks through all connections of a pool at every request.
        """
        api = type(self)(self.url, self.tally, stack or self._stack, self._tls, self._try_for_s)
        api._config = self._config
        return api

    @property
    def points_url(self) -> str:
        return self._config.points_url.rstrip("/") or self.url

    @property
    def puzzle_url(self) -> str:
        return self._config.puzzle_url.rstrip("/") or self.url

    def socket_url(self, session_id: SessionId) -> str:
        """Where the session's events come from."""
        path = self._config.socket_path.replace("{session_id}", str(session_id))
        return "ws" + self.url.removeprefix("http") + path

    async def make_team(self, name: str) -> TeamMade:
        return await self._call(TeamMade, "POST", f"{self.points_url}/teams", body={"name": name})

    async def join(self, code: str, name: str, colour: str) -> Seated:
        body = {"name": name, "colour": colour}
        return await self._call(Seated, "POST", f"{self.points_url}/teams/{code}/players", body=body)

    async def refresh(self, token: str) -> str:
        return (await self._call(TokenRefreshed, "POST", f"{self.points_url}/tokens/refresh", token)).token

    async def create_session(self, host_token: str, rules: dict[str, Any]) -> Session:
        return await self._call(Session, "POST", f"{self.points_url}/sessions", host_token, {"rules": rules})

    async def ready(self, session_id: SessionId, token: str) -> Session:
        return await self._session_step(session_id, "ready", token, {"ready": True})

    async def start(self, session_id: SessionId, host_token: str) -> Session:
        return await self._session_step(session_id, "start", host_token)

    async def end(self, session_id: SessionId, host_token: str) -> Session:
        return await self._session_step(session_id, "end", host_token)

    async def session(self, session_id: SessionId, token: str) -> Session:
        return await self._call(Session, "GET", f"{self.points_url}/sessions/{session_id}", token)

    async def results(self, session_id: SessionId, token: str) -> Results:
        return await self._call(Results, "GET", f"{self.points_url}/sessions/{session_id}/results", token)

    async def answer(self, puzzle_id: PuzzleId, token: str, answer: dict[str, Any]) -> Judged:
        url = f"{self.puzzle_url}/puzzles/{puzzle_id}/answer"
        return await self._call(Judged, "POST", url, token, {"answer": answer})

    async def _session_step(
        self, session_id: SessionId, step: str, token: str, body: dict[str, Any] | None = None
    ) -> Session:
        return await self._call(Session, "POST", f"{self.points_url}/sessions/{session_id}/{step}", token, body)

    async def _call(
        self, reply: type[ReplyT], method: str, url: str, token: str = "", body: dict[str, Any] | None = None
    ) -> ReplyT:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if method != "GET":
            headers["Idempotency-Key"] = uuid4().hex
        if body is not None:
            headers["Content-Type"] = "application/json"
        content = None if body is None else msgspec.json.encode(body)
        response = await self._send(method, url, headers, content)
        if response.is_success:
            return msgspec.json.decode(response.content, type=reply)
        error = _error_of(response)
        self.tally.refused[error.code] += 1
        raise error

    async def _send(self, method: str, url: str, headers: dict[str, str], content: bytes | None) -> httpx.Response:
        give_up = time.monotonic() + self._try_for_s
        attempt = 0
        while True:
            try:
                response = await self._http.request(method, url, headers=headers, content=content)
                if response.status_code not in AGAIN_AFTER:
                    return response
                trouble = f"status {response.status_code}"
            except httpx.TransportError as error:
                trouble = f"{type(error).__name__}: {error}"
            wait = full_jitter(attempt, self._chance, first=0.1, most=2.0)
            if time.monotonic() + wait > give_up:
                raise UnreachableError(f"{method} {url}: {trouble}, for {self._try_for_s:.0f} s")
            self.tally.retries += 1
            attempt += 1
            await asyncio.sleep(wait)


def _error_of(response: httpx.Response) -> ApiError:
    try:
        problem = msgspec.json.decode(response.content, type=_Problem)
    except msgspec.DecodeError:
        problem = _Problem(code=f"http_{response.status_code}", detail=response.text[:200])
    return ApiError(response.status_code, problem.code, problem.detail)
