"""The rules of the game once more, as plainly as they can be said, to compare the real ones with.

Points are counters here. Time is walked through from one instant at which anything happens to the next: at each full
interval every player still in loses the decay, whoever has nothing left is out, and then what the log has at that
instant happens, line by line. There is no formula for anybody's points and none for when they end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum


class What(Enum):
    """What a line of the log is about."""

    SOLVED = "solved"
    FAILED = "failed"
    EXPIRED = "expired"
    TICKS = "ticks"


@dataclass(frozen=True)
class Line:
    """Something that happened: `player` (a place at the table) closed a puzzle, or an operator took `ticks`."""

    at: int
    what: What
    player: int = 0
    ticks: int = 0
    name: str = ""


@dataclass(frozen=True)
class Setting:
    """The rules of one game."""

    players: int
    start_points: int
    decay: int
    interval_ms: int
    award: int
    penalty: int
    next_seat: bool
    starts_at: int


@dataclass
class Person:
    """A player. `moved` is the sum of all that was given and taken, the start included, but not the decay."""

    points: int = 0
    moved: int = 0
    out_at: int | None = None
    solved: int = 0
    failed: int = 0
    expired: int = 0


@dataclass
class Reference:
    """A game that is played through once, by `play`. `history` has everybody's points after each instant."""

    setting: Setting
    log: Sequence[Line]
    end_at: int | None = None

    people: list[Person] = field(default_factory=list)
    finished_at: int | None = None
    ended_by_host: bool = False
    paid: dict[str, int | None] = field(default_factory=dict)
    """By the name of the solved puzzle: the place of whoever was paid, None where nobody was."""
    history: list[tuple[int, list[int]]] = field(default_factory=list)

    def play(self) -> "Reference":
        """Play the game to its end."""
        start = self.setting.starts_at
        if self.end_at is not None and self.end_at < start:
            self.people = [Person() for _ in range(self.setting.players)]
            self.finished_at, self.ended_by_host = self.end_at, True
            return self
        points = self.setting.start_points
        self.people = [Person(points=points, moved=points) for _ in range(self.setting.players)]
        for instant in self._instants():
            if instant > start and (instant - start) % self.setting.interval_ms == 0:
                self._take_from_all(self.setting.decay)
            self._see_who_is_out(instant)
            if self.finished_at is None and instant == self.end_at:
                self.finished_at, self.ended_by_host = instant, True
            for line in self.log:
                if line.at == instant:
                    self._happen(line)
                    self._see_who_is_out(instant)
            self.history.append((instant, [person.points for person in self.people]))
        return self

    def points_at(self, instant: int) -> list[int]:
        """Everybody's points at an instant of the game."""
        last = [self.setting.start_points] * self.setting.players
        for when, points in self.history:
            if when > instant:
                break
            last = points
        return last

    def _instants(self) -> Iterator[int]:
        """All instants at which something may happen, in order, the later ones only while the game goes on."""
        extra = {line.at for line in self.log} | ({self.end_at} if self.end_at is not None else set())
        now = self.setting.starts_at
        while True:
            yield now
            interval = now + self.setting.interval_ms - (now - self.setting.starts_at) % self.setting.interval_ms
            later = {instant for instant in extra if instant > now}
            if self.finished_at is not None and not later:
                return
            now = min({interval, *later})

    def _still_in(self) -> list[Person]:
        return [person for person in self.people if person.out_at is None]

    def _take_from_all(self, amount: int) -> None:
        """The decay, which is no entry of anybody's ledger."""
        if self.finished_at is None:
            for person in self._still_in():
                person.points = max(0, person.points - amount)

    def _see_who_is_out(self, instant: int) -> None:
        if self.finished_at is not None:
            return
        for person in self._still_in():
            if person.points == 0:
                person.out_at = instant
        if not self._still_in():
            self.finished_at = instant

    def _happen(self, line: Line) -> None:
        if line.what is What.TICKS:
            if self.finished_at is None:
                for person in self._still_in():
                    self._move(person, -line.ticks * self.setting.decay)
            return
        person = self.people[line.player]
        if line.what is What.SOLVED:
            self.paid[line.name] = None
        if self.finished_at is not None or person.out_at is not None:
            return
        if line.what is What.SOLVED:
            person.solved += 1
            receiver = self._next_after(line.player)
            if receiver is not None:
                self._move(self.people[receiver], self.setting.award)
                self.paid[line.name] = receiver
        elif line.what is What.FAILED:
            person.failed += 1
            self._move(person, -self.setting.penalty)
        else:
            person.expired += 1

    def _next_after(self, solver: int) -> int | None:
        for step in range(1, self.setting.players):
            place = (solver + step) % self.setting.players
            if self.people[place].out_at is None:
                return place
            if self.setting.next_seat:
                return None
        return None

    def _move(self, person: Person, amount: int) -> None:
        amount = max(amount, -person.points)
        person.points += amount
        person.moved += amount
