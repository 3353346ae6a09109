"""Answers that come over a socket: given to the puzzle service with the client's own token, as if by HTTP.

The gateway knows no rule of the game. It adds nothing but an Idempotency-Key, so that a repeated answer is one answer.
"""

import asyncio
import hashlib
from collections.abc import Callable
from typing import Final

import httpx
import msgspec
import structlog
from msgspec import Raw

from contracts.frames import Answer, Answered, encode
from services.kit import metrics
from services.kit.errors import problem_response
from services.kit.problem import Problem
from services.kit.supervise import stop
from services.realtime.frame import Frame

log = structlog.get_logger()

AT_ONCE: Final = 32
MOST_UNDER_WAY: Final = 512
TIMEOUT_S: Final = 10.0
CONNECT_TIMEOUT_S: Final = 2.0

Reply = Callable[[Frame], None]


class Answers:
    """Hands answers on, so many at once, each within a time-out, and replies with what the puzzle service said."""

    def __init__(self, puzzle_url: str, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._tasks: set[asyncio.Task[None]] = set()
        self._http = httpx.AsyncClient(
            base_url=puzzle_url,
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            trust_env=False,
            verify=not puzzle_url.startswith("http:"),  # to read all authorities takes 30 ms
            # Connections are given up soon, so that replicas that come are found.
            limits=httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE, keepalive_expiry=5.0),
        )

    def give(self, token: str, answer: Answer, reply: Reply) -> None:
        """Give the answer in the background; `reply` is called once, with an `answered`. Never waits."""
        if len(self._tasks) >= MOST_UNDER_WAY:
            reply(refusal(answer.id, Problem(503, "temporarily_unavailable", "Too many answers at once; repeat it.")))
            return
        task = asyncio.get_running_loop().create_task(self._give(token, answer, reply), name="answer")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what is under way: clients repeat it elsewhere."""
        await stop(list(self._tasks))
        await self._http.aclose()

    async def _give(self, token: str, answer: Answer, reply: Reply) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._post(token, answer)
            msgspec.json.decode(response.content)
        except (httpx.HTTPError, TimeoutError, UnicodeDecodeError, msgspec.DecodeError) as error:
            log.warning("answer_not_given", error=repr(error))
            metrics.socket_answers.labels(503).inc()
            problem = Problem(503, "temporarily_unavailable", "The puzzle service does not answer; repeat the answer.")
            reply(refusal(answer.id, problem))
        else:
            metrics.socket_answers.labels(response.status_code).inc()
            reply(Frame(encode(Answered(id=answer.id, status=response.status_code, body=Raw(response.content)))))

    async def _post(self, token: str, answer: Answer) -> httpx.Response:
        body = b'{"answer":%b}' % bytes(answer.answer)
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Idempotency-Key": answer.idempotency_key or _key_of(answer),
        }
        url = f"/puzzles/{answer.puzzle_id}/answer"
        try:
            return await self._http.post(url, content=body, headers=headers)
        except httpx.TransportError:
            # A kept connection may have been dead; with its key, an answer can be sent again without harm.
            return await self._http.post(url, content=body, headers=headers)


def refusal(number: int, problem: Problem) -> Frame:
    """`answered` with a problem document of the gateway's own."""
    body = Raw(bytes(problem_response(problem).body))
    return Frame(encode(Answered(id=number, status=problem.status, body=body)))


def _key_of(answer: Answer) -> str:
    """The same for the same answer to the same puzzle, also on another connection or at another gateway."""
    return f"socket:{answer.puzzle_id}:{hashlib.sha256(bytes(answer.answer)).hexdigest()}"
