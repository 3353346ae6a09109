"""① The short way of an answer: one that is well-formed needs nothing of what FastAPI can do.

Everything else, whatever it is, `routers/puzzle.py` takes or refuses, by the same use case.
"""

import json
import re
from collections.abc import Awaitable
from uuid import UUID

from starlette.types import Scope

from contracts.ids import PuzzleId
from services.kit.front import ShortWay
from services.kit.idempotency import Key, hash_of
from services.kit.tokens import Role, TokenError, Verifier
from services.puzzle.service.answering import Answers, Given

_PATH = re.compile(r"/puzzles/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/answer")
_KEY = re.compile(rb"[\x21-\x7e]{8,200}")
_BEARER = b"Bearer "


def _take(scope: Scope, body: bytes) -> Awaitable[bytes] | None:
    if scope["method"] != "POST" or (path := _PATH.fullmatch(scope["path"])) is None:
        return None
    state = scope["app"].state
    headers = dict(scope["headers"])
    authorization, key = headers.get(b"authorization", b""), headers.get(b"idempotency-key")
    if (
        len(headers) < len(scope["headers"])  # some come twice
        or (b"origin" in headers and state.has_cors)  # the response has to say what a page of there may know
        or headers.get(b"content-type") != b"application/json"
        or not authorization.startswith(_BEARER)
        or (key is not None and _KEY.fullmatch(key) is None)
    ):
        return None
    verifier: Verifier = state.verifier
    answers: Answers = state.answers
    try:
        caller = verifier.verify(authorization[len(_BEARER) :].decode("ascii"))
        request = json.loads(body)
    except (TokenError, ValueError, RecursionError):
        return None
    if caller.role is not Role.PLAYER or not isinstance(request, dict) or not isinstance(request.get("answer"), dict):
        return None
    given = Given(
        puzzle_id=PuzzleId(UUID(path[1])),
        player_id=caller.subject,
        answer=request["answer"],
        key=None if key is None else Key(str(caller.subject), key.decode()),
        request_hash=hash_of("POST", scope["path"], body),
    )
    return answers.submit(given)


WELL_FORMED_ANSWERS = ShortWay("/puzzles/{puzzle_id}/answer", _take)
