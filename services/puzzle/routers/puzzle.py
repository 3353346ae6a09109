"""① The puzzle flow over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from contracts.ids import PlayerId, PuzzleId
from services.kit.caller import Caller
from services.kit.dependencies import IdempotencyKey, Once, RequestTransaction, request_hash
from services.kit.idempotency import Key
from services.kit.tokens import Role
from services.puzzle import errors, schemas
from services.puzzle.service import puzzles
from services.puzzle.service.answering import Answers, Given
from services.puzzle.types.registry import Registry

router = APIRouter(tags=["puzzles"])


# Asynchronous, since FastAPI runs others in threads.
async def _types(request: Request) -> Registry:
    types: Registry = request.app.state.types
    return types


InstalledTypes = Annotated[Registry, Depends(_types)]


@router.post("/puzzles", status_code=201)
async def create_puzzle(
    body: schemas.CreatePuzzle,
    caller: Caller,
    transaction: RequestTransaction,
    once: Once,
    types: InstalledTypes,
) -> schemas.CurrentPuzzle:
    """Deal a puzzle to a player who has none, or whose time for it is up.

    Seldom needed: the first puzzle is dealt when play begins, each next one when one is closed.
    """
    if caller.role is not Role.PLAYER or caller.subject != body.player_id:
        raise errors.not_your_seat()

    async def create() -> schemas.CurrentPuzzle:
        dealt = await puzzles.create(transaction, types, body.player_id, body.type)
        return schemas.CurrentPuzzle.model_validate(dealt)

    return await once.run(transaction, str(caller.subject), schemas.CurrentPuzzle, create)


@router.get("/players/{player_id}/puzzle")
async def get_current_puzzle(
    player_id: PlayerId, caller: Caller, transaction: RequestTransaction
) -> schemas.CurrentPuzzle:
    """The open puzzle of a player, for everybody of the team who plays, hosts or watches the game."""
    asking = caller.subject if caller.role is Role.PLAYER else None
    return schemas.CurrentPuzzle.model_validate(await puzzles.current(transaction, player_id, caller.team_id, asking))


@router.post("/puzzles/{puzzle_id}/answer", response_model=schemas.AnswerResult)
async def answer_puzzle(
    puzzle_id: PuzzleId, body: schemas.Answer, caller: Caller, request: Request, key: IdempotencyKey = None
) -> Response:
    """Answer a puzzle: it is closed as solved or failed, and the next one is dealt.

    An answer of the wrong shape (422 `invalid_answer`) is no try.
    """
    if caller.role is not Role.PLAYER:
        raise errors.not_your_puzzle()
    answers: Answers = request.app.state.answers
    given = Given(
        puzzle_id=puzzle_id,
        player_id=caller.subject,
        answer=body.answer,
        key=None if key is None else Key(str(caller.subject), key),
        request_hash=await request_hash(request),
    )
    return Response(await answers.submit(given), media_type="application/json")


@router.get("/puzzle-types")
async def get_puzzle_types(types: InstalledTypes) -> schemas.Types:
    """The installed puzzle types: what they train, how long one has, what an answer looks like."""
    return schemas.Types(types=[schemas.Type.of(types.get(name)) for name in types.names()])
