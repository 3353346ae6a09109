"""A finished game once more, from its log alone: the same rules, given the same events, have to come to the same end.

From the log only what came from outside is taken (who joined, what was answered, what operator and host did); every
award, elimination and point follows anew. Answers that came too late are in no log, only in the ledger, as voids.
"""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from contracts import events, rooms
from contracts.frames import NumberedEvent
from contracts.ids import EventId, PlayerId
from contracts.puzzles import ClosedPuzzle, PuzzleView, Verdict
from contracts.replay import ReplayError
from contracts.rooms import EndReason, VoidReason
from services.points.domain.game import Game
from services.points.domain.seats import LedgerEntry

TOO_LATE = {VoidReason.SOLVER_OUT, VoidReason.SESSION_OVER}


def recreate(log: Sequence[NumberedEvent], entries: Sequence[LedgerEntry]) -> Game:
    """The game that follows from the log. Raises ReplayError or ForbiddenMoveError where nothing can."""
    first = log[0].data if log else None
    if not isinstance(first, rooms.SessionCreated):
        raise ReplayError("the log does not begin with session.created")
    state = first.state
    game = Game(state.session_id, state.team_id, state.team_name, state.rules, state.created_at)
    game.facts.append((log[0].at, first))
    late = [entry for entry in entries if entry.reason in TOO_LATE]
    runs = iter(dict.fromkeys(entry.key.split(":")[2] for entry in entries if entry.kind == "tick"))
    for event in log[1:]:
        while late and late[0].at < event.at:
            _answer_late(game, late.pop(0))
        _repeat(game, event.at, event.data, runs)
    for entry in late:
        _answer_late(game, entry)
    return game


def _repeat(game: Game, at: int, fact: rooms.Fact, runs: Iterator[str]) -> None:
    """Do what was done from outside. Of what followed by itself only the time is taken, up to which it has to."""
    match fact:
        case rooms.PlayerJoined():
            game.join(fact.player_id, fact.seat, fact.name, fact.colour, at)
        case rooms.PlayerLeft():
            game.leave(fact.player_id, at)
        case rooms.PlayerReady():
            game.set_ready(fact.player_id, fact.ready, at)
        case rooms.SessionCountdown():
            game.start(at)
        case rooms.SessionFinished() if fact.reason is not EndReason.ALL_OUT:
            game.end(at, fact.reason)
            game.advance(at)
        case rooms.SessionStarted() | rooms.PlayerEliminated() | rooms.SessionFinished():
            game.advance(at)
        case rooms.PointsTicked():
            if (run_id := next(runs, None)) is None:
                raise ReplayError("the log has more ticks than the ledger")
            game.tick(at, fact.ticks, UUID(run_id))
        case _:
            _repeat_puzzle(game, at, fact)


def _repeat_puzzle(game: Game, at: int, fact: rooms.Fact) -> None:
    match fact:
        case rooms.PuzzleAssigned():
            game.apply(events.PuzzleAssigned(**_head(game, at), player_id=fact.player_id, puzzle=fact.puzzle))
        case rooms.PuzzleSolved() | rooms.PuzzleFailed():
            game.apply(_answered(game, at, fact.player_id, fact.closed, fact.next))
        case rooms.PuzzleExpired():
            head = _head(game, at)
            game.apply(events.PuzzleExpired(**head, player_id=fact.player_id, closed=fact.closed, next=fact.next))


def _answer_late(game: Game, entry: LedgerEntry) -> None:
    """The right answer of somebody who was out, or after the end: it pays nobody, and nobody but the ledger is told."""
    if entry.from_player_id is None or entry.puzzle_id is None:
        raise ReplayError(f"{entry.key} names no solver or no puzzle")
    closed = ClosedPuzzle(
        puzzle_id=entry.puzzle_id, type="", verdict=Verdict.SOLVED, solution={}, opened_at=entry.at, closed_at=entry.at
    )
    unseen = PuzzleView(
        puzzle_id=entry.puzzle_id, type="", difficulty=1, view={}, opened_at=entry.at, deadline=entry.at
    )
    game.apply(_answered(game, entry.at, entry.from_player_id, closed, unseen))


def _answered(
    game: Game, at: int, player_id: PlayerId, closed: ClosedPuzzle, dealt: PuzzleView
) -> events.PuzzleAnswered:
    return events.PuzzleAnswered(**_head(game, at), player_id=player_id, closed=closed, next=dealt)


def _head(game: Game, at: int) -> dict[str, Any]:
    return {"event_id": EventId(UUID(int=0)), "session_id": game.session_id, "version": 0, "at": at}
