"""⑥ One session as an aggregate: what answers, time, operators and the host do to it.

Everything is applied in the order of its instant. Before anything takes effect at `at`, whatever was due until then
has taken effect (`advance`): so an elimination has its exact instant however late it is noticed, and what happens at
the very instant of `zero_at` comes too late. The caller guarantees that all answers given before `at` were applied.
"""

from dataclasses import dataclass
from uuid import UUID

from contracts import rooms
from contracts.events import PuzzleAnswered, PuzzleAssigned, PuzzleExpired
from contracts.ids import PuzzleId
from contracts.puzzles import PuzzleView, Verdict
from contracts.rooms import EndReason, Status, VoidReason
from services.points.domain.lobby import Lobby
from services.points.domain.rules import points_at, zero_at
from services.points.domain.seats import LedgerEntry, Seat, receiver_of


@dataclass(slots=True)
class Game(Lobby):
    """A session from its countdown to its end."""

    def end(self, at: int, reason: EndReason = EndReason.ENDED_BY_HOST) -> None:
        """Finish early. A running game ends at `at`, once all answers given before have been applied."""
        at = max(at, self.settled_at)
        if self.status is Status.COUNTDOWN and self.starts_at is not None and self.starts_at <= at:
            self.advance(self.starts_at)  # it is running, and nobody has noticed yet
        if self.status is Status.ACTIVE:
            self.ending_at = at if self.ending_at is None else self.ending_at
        elif self.status is not Status.FINISHED:
            self._finish(at, reason)

    def advance(self, until: int) -> None:
        """Let everything that is due until `until` take effect: the start, eliminations, the end."""
        if self.status is Status.COUNTDOWN and self.starts_at is not None and self.starts_at <= until:
            self._begin(self.starts_at)
        while self.status is Status.ACTIVE:
            limit = until if self.ending_at is None else min(until, self.ending_at)
            next_out = min(self._still_in(), key=lambda s: (s.zero_at or 0, s.seat))
            if next_out.zero_at is None or next_out.zero_at > limit:
                break
            self._eliminate(next_out, next_out.zero_at)
        if self.status is Status.ACTIVE and self.ending_at is not None and self.ending_at <= until:
            self._finish(self.ending_at, EndReason.ENDED_BY_HOST)
        self.settled_at = max(self.settled_at, until)

    def apply(self, event: PuzzleAssigned | PuzzleAnswered | PuzzleExpired) -> None:
        """Let an event of the puzzle service take effect, at its own instant."""
        at = max(event.at, self.settled_at)
        self.advance(at)
        seat = self.seat_of(event.player_id)
        playing = self.status is Status.ACTIVE and seat.is_in
        if isinstance(event, PuzzleAnswered):
            if playing:
                self._answer(seat, event, at)
            elif event.closed.verdict is Verdict.SOLVED:
                over = self.status is Status.FINISHED
                reason = VoidReason.SESSION_OVER if over and seat.is_in else VoidReason.SOLVER_OUT
                self._enter_void(seat, event.closed.puzzle_id, at, reason)
        elif playing and isinstance(event, PuzzleExpired):
            seat.expired += 1
            seat.puzzle = newest = _newest(seat, event.next)
            self._tell(at, rooms.PuzzleExpired(player_id=seat.player_id, closed=event.closed, next=newest))
        elif playing and isinstance(event, PuzzleAssigned):
            seat.puzzle = newest = _newest(seat, event.puzzle)
            self._tell(at, rooms.PuzzleAssigned(player_id=seat.player_id, puzzle=newest))
        self.advance(at)

    def tick(self, at: int, ticks: int, run_id: UUID) -> None:
        """Take an operator's extra ticks from everybody still in."""
        at = max(at, self.settled_at)
        self.advance(at)
        if self.status is not Status.ACTIVE or ticks == 0:
            return
        told = []
        for seat in self._still_in():
            taken = self._take(seat, ticks * self.rules.decay, at)
            key = f"tick:{self.session_id}:{run_id}:{seat.player_id}"
            self.entries.append(LedgerEntry(key, at, "tick", -taken, seat.player_id, base=seat.base))
            told.append(rooms.Ticked(player_id=seat.player_id, base=seat.base, zero_at=seat.zero_at or at))
        self._tell(at, rooms.PointsTicked(ticks=ticks, amount=ticks * self.rules.decay, players=told))
        self.advance(at)

    @property
    def due_at(self) -> int | None:
        """The next instant at which time alone changes something."""
        if self.status is Status.COUNTDOWN:
            return self.starts_at
        if self.status is not Status.ACTIVE:
            return None
        instants = [seat.zero_at for seat in self._still_in() if seat.zero_at is not None]
        return min([*instants, *([] if self.ending_at is None else [self.ending_at])])

    def _still_in(self) -> list[Seat]:
        return [seat for seat in self.seats if seat.is_in]

    def _begin(self, at: int) -> None:
        self.status = Status.ACTIVE
        self.started_at = at
        base = self.rules.start_points
        zero = zero_at(self.rules, at, base, at)
        for seat in self.seats:
            seat.base, seat.zero_at = base, zero
            key = f"start:{self.session_id}:{seat.player_id}"
            self.entries.append(LedgerEntry(key, at, "start", base, seat.player_id, base=base))
        self._tell(at, rooms.SessionStarted(started_at=at, base=base, zero_at=zero))

    def _answer(self, solver: Seat, event: PuzzleAnswered, at: int) -> None:
        solver.puzzle = newest = _newest(solver, event.next)
        puzzle_id = event.closed.puzzle_id
        if event.closed.verdict is Verdict.SOLVED:
            solver.solved += 1
            self._tell(at, rooms.PuzzleSolved(player_id=solver.player_id, closed=event.closed, next=newest))
            self._award(solver, puzzle_id, at)
            return
        solver.failed += 1
        self._tell(at, rooms.PuzzleFailed(player_id=solver.player_id, closed=event.closed, next=newest))
        if self.rules.penalty > 0:
            taken = self._take(solver, self.rules.penalty, at)
            key = f"penalty:{self.session_id}:{puzzle_id}"
            entry = LedgerEntry(key, at, "penalty", -taken, solver.player_id, puzzle_id=puzzle_id, base=solver.base)
            self.entries.append(entry)
            fact = rooms.PointsPenalised(
                player_id=solver.player_id,
                puzzle_id=puzzle_id,
                amount=taken,
                base=solver.base,
                zero_at=solver.zero_at or at,
            )
            self._tell(at, fact)

    def _award(self, solver: Seat, puzzle_id: PuzzleId, at: int) -> None:
        receiver = receiver_of(self.seats, solver, self.rules.award_target)
        if isinstance(receiver, VoidReason):
            self._enter_void(solver, puzzle_id, at, receiver)
            fact = rooms.PointsVoided(from_player_id=solver.player_id, puzzle_id=puzzle_id, reason=receiver)
            self._tell(at, fact)
            return
        receiver.base += self.rules.award
        receiver.zero_at = zero_at(self.rules, self.started_at or 0, receiver.base, at)
        key = f"solve:{self.session_id}:{puzzle_id}"
        award, to, giver = self.rules.award, receiver.player_id, solver.player_id
        self.entries.append(LedgerEntry(key, at, "award", award, to, giver, puzzle_id, base=receiver.base))
        awarded = rooms.PointsAwarded(
            from_player_id=solver.player_id,
            to_player_id=receiver.player_id,
            puzzle_id=puzzle_id,
            amount=self.rules.award,
            base=receiver.base,
            zero_at=receiver.zero_at,
        )
        self._tell(at, awarded)

    def _enter_void(self, solver: Seat, puzzle_id: PuzzleId, at: int, reason: VoidReason) -> None:
        key = f"solve:{self.session_id}:{puzzle_id}"
        self.entries.append(LedgerEntry(key, at, "void", 0, None, solver.player_id, puzzle_id, reason))

    def _take(self, seat: Seat, amount: int, at: int) -> int:
        """Take points, as many as there are. Returns how many that was."""
        taken = min(amount, points_at(self.rules, self.started_at or 0, seat.base, at))
        seat.base -= taken
        seat.zero_at = zero_at(self.rules, self.started_at or 0, seat.base, at)
        return taken

    def _eliminate(self, seat: Seat, at: int) -> None:
        seat.eliminated_at = at
        seat.puzzle = None
        self._tell(at, rooms.PlayerEliminated(player_id=seat.player_id, eliminated_at=at))
        if not self._still_in():
            self._finish(at, EndReason.ALL_OUT)

    def _finish(self, at: int, reason: EndReason) -> None:
        self.status = Status.FINISHED
        self.finished_at = at
        self.survival_ms = 0 if self.started_at is None else at - self.started_at
        self.end_reason = reason
        for seat in self.seats:
            seat.puzzle = None
        finished = rooms.SessionFinished(finished_at=at, survival_ms=self.survival_ms, reason=reason)
        self._tell(at, finished)


def _newest(seat: Seat, dealt: PuzzleView) -> PuzzleView:
    """The seat's open puzzle after `dealt`: an event that was given up and is retried comes after later ones."""
    held = seat.open_puzzle
    return held if held is not None and held.opened_at > dealt.opened_at else dealt
