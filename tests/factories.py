"""Games, and the puzzle service's events, as tests want them."""

from typing import Any
from uuid import uuid4

from contracts import rooms
from contracts.events import PuzzleAnswered, PuzzleAssigned, PuzzleEvent, PuzzleExpired
from contracts.ids import EventId, PlayerId, PuzzleId, SessionId, TeamId
from contracts.puzzles import ClosedPuzzle, PuzzleView, Verdict
from services.points.domain.game import Game
from services.points.domain.rules import parse_rules
from services.points.domain.views import public_state

TYPES = ["concentration", "memory", "multitasking", "spatial"]


def lobby(players: int = 4, *, created_at: int = 0, **rules: Any) -> Game:
    """A session in the lobby with so many players. `rules` are those that differ from the defaults."""
    game = Game(
        session_id=SessionId(uuid4()),
        team_id=TeamId(uuid4()),
        team_name="Otters",
        rules=parse_rules({"seats": max(players, 1), **rules}),
        created_at=created_at,
    )
    game.facts.append((created_at, rooms.SessionCreated(state=public_state(game))))
    for seat in range(players):
        game.join(PlayerId(uuid4()), seat, f"Player {seat}", "#000000", created_at)
    return game


def running(players: int = 4, *, started_at: int = 0, **rules: Any) -> Game:
    """A game that began at `started_at`."""
    game = lobby(players, created_at=started_at, **{"countdown_ms": 0, **rules})
    game.start(started_at)
    game.advance(started_at)
    return game


class Puzzles:
    """The puzzle service's part in one session: its events, numbered as it numbers them."""

    def __init__(self, session_id: SessionId) -> None:
        self._session_id = session_id
        self.version = 0

    def solved(self, player_id: PlayerId, at: int, **options: Any) -> PuzzleAnswered:
        """The player's right answer at `at`."""
        return PuzzleAnswered(**self._closing(player_id, at, Verdict.SOLVED, **options))

    def failed(self, player_id: PlayerId, at: int, **options: Any) -> PuzzleAnswered:
        """The player's wrong answer at `at`."""
        return PuzzleAnswered(**self._closing(player_id, at, Verdict.FAILED, **options))

    def expired(self, player_id: PlayerId, at: int, **options: Any) -> PuzzleExpired:
        """The end of the player's time, noticed at `at`."""
        return PuzzleExpired(**self._closing(player_id, at, Verdict.EXPIRED, **options))

    def assigned(self, player_id: PlayerId, at: int) -> PuzzleAssigned:
        """A first puzzle."""
        return PuzzleAssigned(**self._head(at), player_id=player_id, puzzle=self._dealt(at, "memory"))

    def _closing(
        self, player_id: PlayerId, at: int, verdict: Verdict, *, kind: str = "memory", puzzle_id: PuzzleId | None = None
    ) -> dict[str, Any]:
        closed = ClosedPuzzle(
            puzzle_id=puzzle_id or PuzzleId(uuid4()),
            type=kind,
            verdict=verdict,
            solution={"colour": "red"},
            opened_at=at,
            closed_at=at,
        )
        return {**self._head(at), "player_id": player_id, "closed": closed, "next": self._dealt(at, kind)}

    def _head(self, at: int) -> dict[str, Any]:
        self.version += 1
        return {
            "event_id": EventId(uuid4()),
            "session_id": self._session_id,
            "version": self.version,
            "at": at,
        }

    def _dealt(self, at: int, kind: str) -> PuzzleView:
        return PuzzleView(
            puzzle_id=PuzzleId(uuid4()),
            type=kind,
            difficulty=2,
            view={"colours": ["red", "blue"]},
            opened_at=at,
            deadline=at + 10_000,
        )


def told(game: Game, *kinds: type[rooms.Fact]) -> list[Any]:
    """What clients were told, of these kinds only."""
    return [fact for _, fact in game.facts if isinstance(fact, kinds)]


__all__ = ["TYPES", "PuzzleEvent", "Puzzles", "lobby", "running", "told"]
