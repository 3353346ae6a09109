"""What must hold of a finished game, whatever broke in the middle of it. Differences come back in words.

The points are recomputed here by plain arithmetic from the ledger, with nothing of the points service's own code.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import DictRow

from baton.demo.recording import Recording
from contracts import replay
from contracts.frames import NumberedEvent, decode_event
from contracts.ids import SessionId
from contracts.puzzles import Verdict
from contracts.rooms import State
from tests.e2e.games import Accepted
from tests.e2e.system import System


@dataclass(frozen=True)
class Records:
    """All rows that both services keep of one session."""

    session: DictRow
    seats: list[DictRow]
    ledger: list[DictRow]
    log: list[DictRow]
    puzzles: dict[UUID, DictRow]
    copy: DictRow
    """The puzzle service's row of the session."""

    @classmethod
    def read(cls, system: System, session_id: SessionId) -> "Records":
        [session] = system.query(
            "SELECT * FROM points.sessions WHERE session_id = %(session)s", {"session": session_id}
        )
        [copy] = system.query("SELECT * FROM puzzle.sessions WHERE session_id = %(session)s", {"session": session_id})
        puzzles = system.query("SELECT * FROM puzzle.puzzles WHERE session_id = %(session)s", {"session": session_id})
        return cls(
            session=session,
            seats=system.query(
                "SELECT * FROM points.seats WHERE session_id = %(session)s ORDER BY seat", {"session": session_id}
            ),
            ledger=system.query(
                "SELECT * FROM points.ledger WHERE session_id = %(session)s ORDER BY entry_id", {"session": session_id}
            ),
            log=system.query(
                "SELECT * FROM points.session_events WHERE session_id = %(session)s ORDER BY seq",
                {"session": session_id},
            ),
            puzzles={row["puzzle_id"]: row for row in puzzles},
            copy=copy,
        )

    def events(self) -> list[NumberedEvent]:
        return [decode_event(bytes(row["frame"])) for row in self.log]

    def out_at(self, player_id: UUID) -> int:
        """From when on the player's answers count no more. The game is finished."""
        [seat] = [seat for seat in self.seats if seat["player_id"] == player_id]
        ends = [seat["eliminated_at"], self.session["finished_at"]]
        end = int(min(end for end in ends if end is not None))
        # At one instant answers come before an operator's tick.
        ticks = [entry for entry in self.ledger if entry["kind"] == "tick" and entry["player_id"] == player_id]
        return end + any(entry["at"] == seat["eliminated_at"] == end for entry in ticks)


def lost_or_doubled(records: Records, accepted: Iterable[Accepted]) -> Iterator[str]:
    """Every answer that somebody was told is accepted, and every other one in the books, has exactly one outcome."""
    for answer in accepted:
        row, closed = records.puzzles.get(answer.judged.puzzle_id), answer.judged.closed
        if row is None or (row["status"], row["closed_at"]) != (answer.judged.verdict.value, closed.closed_at):
            yield f"the accepted answer to {answer.judged.puzzle_id} is not in the books as it was confirmed: {row}"
    keys = Counter(entry["key"] for entry in records.ledger)
    told = Counter(
        (event.type, event.data.closed.puzzle_id)  # type: ignore[union-attr]  # those two types have it
        for event in records.events()
        if event.type in {"puzzle.solved", "puzzle.failed"}
    )
    session_id, penalty = records.session["session_id"], records.session["rules"]["penalty"]
    for puzzle_id, row in records.puzzles.items():
        solved, failed = row["status"] == Verdict.SOLVED, row["status"] == Verdict.FAILED
        out_at, penalties = records.out_at(row["player_id"]), keys[f"penalty:{session_id}:{puzzle_id}"]
        # A penalty can itself put the player out, at that instant; `Books` looks whether there was anything to take.
        in_time = row["closed_at"] is not None and (row["closed_at"] - (penalties > 0) < out_at)
        expected = {
            "outcomes": (keys[f"solve:{session_id}:{puzzle_id}"], int(solved)),
            "penalties": (penalties, int(failed and in_time and penalty > 0)),
            "times told as solved": (told["puzzle.solved", puzzle_id], int(solved and in_time)),
            "times told as failed": (told["puzzle.failed", puzzle_id], int(failed and in_time)),
        }
        for what, (found, due) in expected.items():
            if found != due:
                yield f"{row['status']} puzzle {puzzle_id} has {found} {what}, not {due}"
    for entry in records.ledger:
        if entry["puzzle_id"] is not None and entry["at"] != records.puzzles[entry["puzzle_id"]]["closed_at"]:
            yield f"{entry['key']} took effect at {entry['at']}, not when its puzzle was closed"
    yield from (f"the ledger has {key} {times} times" for key, times in keys.items() if times > 1)


@dataclass
class Player:
    """A player as the ledger's arithmetic has it."""

    base: int = 0
    zero_at: int = 0


class Books:
    """The ledger, added up entry by entry under the rules of its session."""

    def __init__(self, records: Records) -> None:
        self._session, self._rules = records.session, records.session["rules"]
        self._last_at = 0
        self._in_order = [seat["player_id"] for seat in records.seats]
        self.players = {player_id: Player() for player_id in self._in_order}

    def add(self, entry: DictRow) -> Iterator[str]:
        """Take the next entry; what is wrong with it."""
        if entry["at"] < self._last_at:
            yield f"{entry['key']} at {entry['at']} stands behind something at {self._last_at}"
        self._last_at = entry["at"]
        if entry["kind"] in {"award", "void"}:
            receiver = self._receiver(entry["from_player_id"], entry["at"])
            due = (receiver, 0 if receiver is None else self._rules["award"])
            if (entry["player_id"], entry["amount"]) != due:
                yield f"{entry['key']} paid {entry['amount']} to {entry['player_id']}, and due was {due}"
        if entry["kind"] != "void":
            yield from self._change(self.players[entry["player_id"]], entry)

    def _receiver(self, giver: UUID, at: int) -> UUID | None:
        """Who is to be paid: the next player still in, if the giver is too, and the game is not over."""
        ended_by_host = self._session["end_reason"] == "ended_by_host"
        if self.players[giver].zero_at <= at or (ended_by_host and self._session["finished_at"] <= at):
            return None
        place = self._in_order.index(giver)
        others = self._in_order[place + 1 :] + self._in_order[:place]
        if self._rules["award_target"] == "next_seat":
            others = others[:1]
        return next((other for other in others if self.players[other].zero_at > at), None)

    def _change(self, player: Player, entry: DictRow) -> Iterator[str]:
        started_at, interval, decay = self._session["started_at"], self._rules["interval_ms"], self._rules["decay"]
        left = max(0, player.base - decay * ((entry["at"] - started_at) // interval))
        if -entry["amount"] > left or entry["amount"] == 0:
            yield f"{entry['key']} took {-entry['amount']} of {left} points"
        player.base += entry["amount"]
        player.zero_at = max(entry["at"], started_at + -(-player.base // decay) * interval)


def arithmetic(records: Records) -> Iterator[str]:
    """Ledger and decay schedule give every elimination, every receiver and the team's score, to the millisecond."""
    books, session = Books(records), records.session
    for entry in records.ledger:
        yield from books.add(entry)
    finished_at = session["finished_at"]
    for seat in records.seats:
        player = books.players[seat["player_id"]]
        due = player.base, player.zero_at, player.zero_at if player.zero_at <= finished_at else None
        if (found := (seat["base"], seat["zero_at"], seat["eliminated_at"])) != due:
            yield f"{seat['name']} is {found}, and the ledger gives {due}"
    if session["end_reason"] == "all_out" and finished_at != max(p.zero_at for p in books.players.values()):
        yield f"the game ended at {finished_at}, not with the last player"
    if session["survival_ms"] != finished_at - session["started_at"]:
        yield f"survival_ms is {session['survival_ms']}, not {finished_at - session['started_at']}"


def log_and_recordings(records: Records, final: State, recordings: Sequence[Recording]) -> Iterator[str]:
    """The log is gapless and leads to the final state, and every client received it byte for byte."""
    numbers = [row["seq"] for row in records.log]
    if numbers != list(range(1, records.session["seq"] + 1)):
        yield f"the log's numbers are {numbers}, and the session stands at {records.session['seq']}"
    state: State | None = None
    for event in records.events():
        state = replay.apply(state, event.data)
    if state != final:
        yield f"the log leads to {state}, not to {final}"
    frames = [bytes(row["frame"]).decode() for row in records.log]
    for number, recording in enumerate(recordings):
        first = recording.events[0].seq
        if [received.frame for received in recording.events] != frames[first - 1 :]:
            seqs = [received.seq for received in recording.events]
            yield f"client {number} received other than the log from {first} to {len(frames)}: {seqs}"


def agreement(system: System, records: Records, *, room_may_be_lost: bool = False) -> Iterator[str]:
    """Both services have heard all of each other, and the room in Valkey, if it is there, stands where the log does."""
    session, copy = records.session, records.copy
    room_seq = system.room_seq(session["session_id"])
    if room_seq is None and room_may_be_lost:
        room_seq = session["seq"]
    heard = {
        "points' last event": (copy["points_version"], session["sent_version"]),
        "puzzle's last event": (session["puzzle_version"], copy["version"]),
        "status": (copy["status"], session["status"]),
        "open puzzles": (sum(row["status"] == "open" for row in records.puzzles.values()), 0),
        "the room's seq": (room_seq, session["seq"]),
    }
    for what, (found, due) in heard.items():
        if found != due:
            yield f"{what} is {found}, not {due}"
    outs = system.query(
        "SELECT * FROM puzzle.players WHERE session_id = %(session)s", {"session": session["session_id"]}
    )
    known = {row["player_id"]: row["eliminated_at"] for row in outs}
    for seat in records.seats:
        if known[seat["player_id"]] != seat["eliminated_at"]:
            yield f"puzzle has {seat['name']} out at {known[seat['player_id']]}, points at {seat['eliminated_at']}"


UNSETTLED = """
WITH these AS (SELECT unnest(%(these)s::uuid[]) AS session_id)
SELECT * FROM (
    SELECT 'puzzle.outbox' AS what, count(*) AS n FROM puzzle.outbox NATURAL JOIN these
    UNION ALL SELECT 'points.outbox', count(*) FROM points.outbox NATURAL JOIN these
    UNION ALL SELECT 'untold rooms', count(*) FROM points.untold_rooms NATURAL JOIN these
    UNION ALL SELECT 'ticks', count(*) FROM points.tick_requests NATURAL JOIN these
    UNION ALL SELECT 'games in points', count(*) FROM points.sessions NATURAL JOIN these WHERE status <> 'finished'
    UNION ALL SELECT 'games in puzzle', count(*) FROM puzzle.sessions NATURAL JOIN these WHERE status <> 'finished'
) AS counts WHERE n > 0
"""
FAILED = """
SELECT entry_key, error FROM puzzle.dead_letters UNION ALL SELECT entry_key, error FROM points.dead_letters
"""


def unsettled(system: System, session_ids: Sequence[SessionId]) -> dict[str, int]:
    """What of these sessions is on its way, as of one instant. Once there is nothing, nothing changes any more."""
    return {row["what"]: row["n"] for row in system.query(UNSETTLED, {"these": session_ids})}


def broken(system: System, final: State, accepted: Sequence[Accepted], recordings: Sequence[Recording]) -> list[str]:
    """Everything that does not hold of a finished session."""
    records = Records.read(system, final.session_id)
    return [
        *(f"{row['entry_key']} could not be applied: {row['error']}" for row in system.query(FAILED)),
        *lost_or_doubled(records, [answer for answer in accepted if answer.session_id == final.session_id]),
        *arithmetic(records),
        *log_and_recordings(records, final, recordings),
        *agreement(system, records),
    ]
