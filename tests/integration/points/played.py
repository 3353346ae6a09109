"""One game, as the state machine knows it: what happened, what points was told of it, and what the model says.

Its clock is its own. `events` are what the puzzle service has judged, in the order of their versions;
points has applied the first `delivered` of them, and has settled the game up to `settled`.
"""

from collections.abc import Callable, Iterator
from enum import Enum
from uuid import uuid4

from contracts.events import PuzzleEvent
from contracts.ids import PuzzleId
from services.kit.streams import Outcome
from services.puzzle.service.upkeep import Position
from tests.factories import Puzzles
from tests.random_games import lobby_of
from tests.reference_model import Line, Reference, Setting, What

BEGINNING = 1_000
"""When the host starts the game."""


class Arrival(Enum):
    """Which of a game's events reaches points."""

    NEXT = "next"
    AGAIN = "again"
    FIRST = "first"
    AHEAD = "ahead"
    LAST = "last"


class PlayedGame:
    """A game of which everything is known."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.now = BEGINNING
        self.settled = 0
        self.begun = False
        self.delivered = 0
        self.awaited = 0
        self.end_at: int | None = None
        self.events: list[PuzzleEvent] = []
        self.pending_ticks: list[int] = []
        self.positions: list[Position] = []
        self._lines: list[tuple[int, float, Line]] = []
        self.created = lobby_of(setting, BEGINNING)
        self.session_id = self.created.session_id
        self.players = [seat.player_id for seat in self.created.seats]
        self._puzzles = Puzzles(self.session_id)

    def __repr__(self) -> str:
        lines = "".join(f"\n  {line}" for _, _, line in sorted(self._lines, key=lambda entry: entry[:2]))
        told = f"{self.delivered} of {len(self.events)} events delivered, settled up to {self.settled}"
        return f"{self.setting}, ended by the host at {self.end_at}, {told}:{lines}"

    def over_by(self) -> int:
        """An instant at which nobody can have a point any more."""
        most = self.setting.start_points + self.setting.award * len(self.events)
        return max(self.now, self.setting.starts_at) + self.setting.interval_ms * (most + 1)

    @property
    def ended_before_the_start(self) -> bool:
        return self.end_at is not None and self.end_at < self.setting.starts_at

    def wait(self, intervals: int | None, beside: int) -> None:
        """Let `beside` ms pass, or as many intervals, to an instant at which the decay takes something or beside it."""
        instant = self.now + beside
        if intervals is not None:
            since = max(0, self.now - self.setting.starts_at) // self.setting.interval_ms
            instant = self.setting.starts_at + (since + intervals) * self.setting.interval_ms + beside
        self.now = max(self.now, instant)

    def answer(self, player: int, what: What) -> None:
        """The puzzle service judges it now."""
        if self.ended_before_the_start:
            return
        self.now = max(self.now, self.setting.starts_at)
        make: dict[What, Callable[..., PuzzleEvent]] = {
            What.SOLVED: self._puzzles.solved,
            What.FAILED: self._puzzles.failed,
            What.EXPIRED: self._puzzles.expired,
        }
        place, puzzle_id = player % self.setting.players, PuzzleId(uuid4())
        self.events.append(make[what](self.players[place], self.now, puzzle_id=puzzle_id))
        self._lines.append((self.now, len(self.events), Line(self.now, what, place, name=str(puzzle_id))))

    def arriving(self, arrivals: list[Arrival]) -> Iterator[PuzzleEvent]:
        """The events that these are. What does not exist does not arrive."""
        upto = self.delivered
        for arrival in arrivals:
            place = {
                Arrival.NEXT: upto,
                Arrival.AGAIN: upto - 1,
                Arrival.FIRST: 0,
                Arrival.AHEAD: upto + 1,
                Arrival.LAST: len(self.events) - 1,
            }[arrival]
            if 0 <= place < len(self.events):
                yield self.events[place]
                upto += place == upto

    def arrived(self, version: int) -> Outcome:
        """What has to come of an event that reaches points, and what is so afterwards."""
        if version <= self.delivered:
            return Outcome.DUPLICATE
        if version > self.delivered + 1:
            return Outcome.EARLY
        self.applied_up_to(version)
        return Outcome.DONE

    def settled_up_to(self, instant: int) -> None:
        """What is due until this instant has taken effect."""
        self.settled = max(self.settled, instant)
        self.begun = self.begun or (self.settled >= self.setting.starts_at and not self.ended_before_the_start)

    def applied_up_to(self, version: int) -> None:
        """Points has applied the events up to this version."""
        self.delivered = version
        if version > 0:
            self.settled_up_to(self.events[version - 1].at)

    def position(self, lag: int) -> Position:
        """What the puzzle service says that is asked now, or what it said `lag` questions ago."""
        self.positions.append(Position(self.now, len(self.events)))
        self.now += 1  # from here on, whatever is answered is later
        return self.positions[max(0, len(self.positions) - 1 - lag)]

    def later_position(self) -> Position:
        """One whose instant tells afterwards whether it was settled by."""
        self.now = 1 + max(self.now, self.settled)
        return self.position(0)

    def settled_by(self, position: Position) -> None:
        """Points has settled by this position, and taken the ticks that were asked for."""
        self.settled_up_to(position.now)
        for ticks in self.pending_ticks:
            line = Line(self.settled, What.TICKS, ticks=ticks)
            self._lines.append((self.settled, self.delivered + 0.5, line))
        self.pending_ticks.clear()

    def end(self) -> int | None:
        """The host ends it now: the instant, None where it was ended before."""
        if self.end_at is not None:
            return None
        self.now += 1  # which of an answer and an end at one millisecond came first, only the clock can say
        self.end_at = self.now
        if self.end_at >= self.setting.starts_at:
            self.settled_up_to(self.setting.starts_at)
        return self.end_at

    @property
    def reference(self) -> Reference:
        """The game as it has to be after what points was told until now, played on to its end."""
        lines = sorted(self._lines, key=lambda entry: entry[:2])
        return Reference(
            self.setting, [line for _, place, line in lines if place < self.delivered + 1], self.end_at
        ).play()

    @property
    def due_at(self) -> int | None:
        """The next instant at which time alone changes something, as far as points knows."""
        if self.ended_before_the_start:
            return None
        if not self.begun:
            return self.setting.starts_at
        reference = self.reference
        instants = [reference.finished_at, *(person.out_at for person in reference.people)]
        return min((instant for instant in instants if instant is not None and instant > self.settled), default=None)

    def is_known_over(self) -> bool:
        """Whether points takes it for finished."""
        return self.ended_before_the_start or (self.begun and (self.reference.finished_at or 0) <= self.settled)

    def is_known_active(self) -> bool:
        """Whether points takes it for a game that is being played."""
        return self.begun and not self.is_known_over()
