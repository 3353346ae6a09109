import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from msgspec import Raw

from contracts.frames import Answer, Answered, decode_to_client
from contracts.ids import PuzzleId
from services.realtime.answers import MOST_UNDER_WAY, Answers
from services.realtime.frame import Frame

PATIENCE_S = 10.0
PUZZLE_ID = PuzzleId(UUID(int=9))
ANSWER = Answer(id=3, puzzle_id=PUZZLE_ID, answer=Raw(b'{ "colour": "r\\u00f6d" }'))


def response(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status.encode(), len(body), body)


class PuzzleServer:
    """Speaks HTTP as it is told: `replies` are the bytes for one request after the other; None hangs, b"" hangs up."""

    def __init__(self, *replies: bytes | None) -> None:
        self._replies = list(replies)
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.asked = asyncio.Semaphore(0)
        self.url = ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while reply := await self._answer(reader):
                writer.write(reply)
        except asyncio.IncompleteReadError:
            pass  # the client is done
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        self.requests.append((line, headers, await reader.readexactly(int(headers["content-length"]))))
        self.asked.release()
        reply = self._replies.pop(0)
        if reply is None:
            await reader.read()
            return b""
        return reply

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield
        finally:
            server.close()
            await server.wait_closed()


class Replies:
    """What the client was told."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Frame] = asyncio.Queue()
        self.reply: Callable[[Frame], None] = self._queue.put_nowait

    @property
    def is_empty(self) -> bool:
        return self._queue.empty()

    async def next(self) -> tuple[int, int, Any]:
        async with asyncio.timeout(PATIENCE_S):
            frame = await self._queue.get()
        answered = decode_to_client(frame.body)
        assert isinstance(answered, Answered)
        return answered.id, answered.status, json.loads(bytes(answered.body))


@asynccontextmanager
async def answering(server: PuzzleServer, timeout_s: float = PATIENCE_S) -> AsyncIterator[Answers]:
    async with server.running():
        answers = Answers(server.url, timeout_s)
        try:
            yield answers
        finally:
            await answers.close()


async def test_it_is_asked_as_by_http_in_the_name_of_the_client() -> None:
    server, replies = PuzzleServer(response(b'{"verdict": "solved"}')), Replies()
    async with answering(server) as answers:
        answers.give("a.token", ANSWER, replies.reply)
        assert await replies.next() == (3, 200, {"verdict": "solved"})
    [(line, headers, body)] = server.requests
    assert line == f"POST /puzzles/{PUZZLE_ID}/answer HTTP/1.1"
    assert body == b'{"answer":{ "colour": "r\\u00f6d" }}'
    assert (headers["authorization"], headers["content-type"]) == ("Bearer a.token", "application/json")


async def test_the_key_is_the_clients_or_that_of_the_answer_alone() -> None:
    given = [
        ANSWER,
        Answer(id=4, puzzle_id=PUZZLE_ID, answer=ANSWER.answer),
        Answer(id=3, puzzle_id=PUZZLE_ID, answer=Raw(b'{"colour":"blue"}')),
        Answer(id=3, puzzle_id=PuzzleId(UUID(int=1)), answer=ANSWER.answer),
        Answer(id=3, puzzle_id=PUZZLE_ID, answer=ANSWER.answer, idempotency_key="key-of-the-client"),
    ]
    server, replies = PuzzleServer(*[response(b"{}")] * len(given)), Replies()
    async with answering(server) as answers:
        for answer in given:
            answers.give("a.token", answer, replies.reply)
            await replies.next()
    first, same, other, elsewhere, own = (headers["idempotency-key"] for _, headers, _ in server.requests)
    assert first == same
    assert len({first, other, elsewhere, own}) == 4
    assert own == "key-of-the-client"
    assert all(8 <= len(key) <= 200 and key.isascii() and " " not in key for key in (first, other, elsewhere))


async def test_a_refusal_is_handed_on_as_it_is() -> None:
    server, replies = PuzzleServer(response(b'{"code": "puzzle_closed"}', "409 Conflict")), Replies()
    async with answering(server) as answers:
        answers.give("a.token", ANSWER, replies.reply)
        assert await replies.next() == (3, 409, {"code": "puzzle_closed"})


async def test_an_answer_whose_connection_is_lost_is_sent_again() -> None:
    server, replies = PuzzleServer(b"", response(b'{"verdict": "solved"}')), Replies()
    async with answering(server) as answers:
        answers.give("a.token", ANSWER, replies.reply)
        assert (await replies.next())[1] == 200
    assert server.requests[0] == server.requests[1]


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 6\r\n\r\n<html>",
        response(b""),
        response(b'{"half":'),
        response(b'{"text": "\xff"}'),
        b"no HTTP at all\r\n\r\n",
    ],
    ids=["a proxy's page", "nothing", "half of it", "no text", "no HTTP"],
)
async def test_what_no_client_could_read_is_told_as_a_failure(reply: bytes) -> None:
    server, replies = PuzzleServer(reply, reply), Replies()
    async with answering(server) as answers:
        answers.give("a.token", ANSWER, replies.reply)
        number, status, problem = await replies.next()
    assert (number, status, problem["code"], problem["status"]) == (3, 503, "temporarily_unavailable", 503)


async def test_a_service_that_does_not_answer_is_not_waited_for_long() -> None:
    server, replies = PuzzleServer(None, None), Replies()
    async with answering(server, timeout_s=0.1) as answers:
        answers.give("a.token", ANSWER, replies.reply)
        assert (await replies.next())[1] == 503


async def test_no_more_than_so_many_are_under_way() -> None:
    server, replies = PuzzleServer(*[None] * 64), Replies()
    async with answering(server) as answers:
        for _ in range(MOST_UNDER_WAY):
            answers.give("a.token", ANSWER, replies.reply)
        assert replies.is_empty
        answers.give("a.token", ANSWER, replies.reply)
        assert (await replies.next())[1] == 503


async def test_what_is_under_way_at_the_end_is_given_up() -> None:
    server, replies = PuzzleServer(None), Replies()
    async with server.running():
        answers = Answers(server.url)
        answers.give("a.token", ANSWER, replies.reply)
        async with asyncio.timeout(PATIENCE_S):
            await server.asked.acquire()
            await answers.close()
    assert replies.is_empty
