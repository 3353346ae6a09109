"""Dealing: whatever closes a puzzle deals the next one, and tells of both in one event."""

from collections.abc import Sequence
from uuid import uuid4

from msgspec.structs import replace

from contracts.channels import PUZZLE_EVENTS
from contracts.events import PuzzleAnswered, PuzzleAssigned, PuzzleEvent, PuzzleExpired
from contracts.ids import EventId, PlayerId, PuzzleId
from contracts.puzzles import Verdict
from services.kit.database import Transaction
from services.kit.outbox import Outbox
from services.puzzle import domain, models
from services.puzzle.domain import Closing, Puzzle, PuzzleStatus, Session, Turn
from services.puzzle.repository.turns import keep_turns
from services.puzzle.types.registry import Registry

outbox = Outbox(models.Outbox, PUZZLE_EVENTS)


def next_turn(
    types: Registry,
    session: Session,
    player_id: PlayerId,
    at: int,
    *,
    closing: Closing | None = None,
    type_name: str | None = None,
) -> Turn:
    """Close a player's puzzle, if there is one to close, and deal the next at `at`. `keep` is still to store it.

    `at` is not before the session's last instant. Without `type_name`, one of the session's types is chosen. Raises
    UnknownPuzzleTypeError where a type is not installed.
    """
    seed = domain.next_seed(session)
    kind = types.choose(session.puzzle_types, seed) if type_name is None else types.get(type_name)
    generated = kind.generate(seed, session.difficulty)
    dealt = Puzzle(
        puzzle_id=PuzzleId(uuid4()),
        session_id=session.session_id,
        player_id=player_id,
        type=kind.name,
        type_version=kind.version,
        difficulty=session.difficulty,
        seed=seed,
        view=generated.view,
        hidden=generated.hidden,
        status=PuzzleStatus.OPEN,
        opened_at=at,
        deadline=at + kind.time_limit_ms(session.difficulty),
    )
    after = replace(session, version=session.version + 1, dealt=session.dealt + 1, last_at=at)
    return Turn(session=after, dealt=dealt, closing=closing)


async def keep(transaction: Transaction, turns: Sequence[Turn]) -> None:
    """Store turns of locked sessions, those of one session in their order, and tell of each in one event."""
    if turns:
        await keep_turns(transaction, turns)
        await outbox.add(transaction, *map(_event, turns))


def _event(turn: Turn) -> PuzzleEvent:
    session, closing, dealt = turn.session, turn.closing, turn.dealt
    event_id, session_id = EventId(uuid4()), session.session_id
    version, at, player_id = session.version, session.last_at, dealt.player_id
    if closing is None:
        return PuzzleAssigned(
            event_id=event_id, session_id=session_id, version=version, at=at, player_id=player_id, puzzle=dealt.public
        )
    kind = PuzzleExpired if closing.closed.verdict is Verdict.EXPIRED else PuzzleAnswered
    return kind(
        event_id=event_id,
        session_id=session_id,
        version=version,
        at=at,
        player_id=player_id,
        closed=closing.closed,
        next=dealt.public,
    )
