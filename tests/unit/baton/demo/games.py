"""A short game as a client is told of it."""

from uuid import UUID

import msgspec

from contracts import frames, replay, rooms
from contracts.frames import encode_event
from contracts.ids import PlayerId, PuzzleId, RoomSeq, SessionId, TeamId
from contracts.puzzles import ClosedPuzzle, PuzzleView, Verdict
from contracts.rooms import EndReason, Fact, State, Status
from contracts.rules import Rules

ADA, BEN = PlayerId(UUID(int=1)), PlayerId(UUID(int=2))
SESSION = SessionId(UUID(int=3))
START = 10_000
RULES = Rules(start_points=3, decay=1, interval_ms=1_000, award=2, countdown_ms=0)


def view(number: int, at: int = START) -> PuzzleView:
    return PuzzleView(
        puzzle_id=PuzzleId(UUID(int=number)), type="memory", difficulty=2, view={}, opened_at=at, deadline=at + 9_000
    )


def closed(number: int, verdict: Verdict, at: int) -> ClosedPuzzle:
    return ClosedPuzzle(
        puzzle_id=PuzzleId(UUID(int=number)), type="memory", verdict=verdict, solution={}, opened_at=START, closed_at=at
    )


CREATED = State(
    session_id=SESSION, team_id=TeamId(UUID(int=4)), team_name="Otters", status=Status.LOBBY, rules=RULES, created_at=1
)

LOG: list[tuple[int, Fact]] = [
    (1, rooms.SessionCreated(state=CREATED)),
    (2, rooms.PlayerJoined(player_id=ADA, seat=0, name="Ada", colour="#e4572e")),
    (3, rooms.PlayerJoined(player_id=BEN, seat=1, name="Ben", colour="#17bebb")),
    (4, rooms.PlayerReady(player_id=ADA, ready=True)),
    (5, rooms.SessionCountdown(starts_at=START)),
    (START, rooms.SessionStarted(started_at=START, base=3, zero_at=START + 3_000)),
    (START, rooms.PuzzleAssigned(player_id=ADA, puzzle=view(10))),
    (START, rooms.PuzzleAssigned(player_id=BEN, puzzle=view(20))),
    (11_500, rooms.PuzzleSolved(player_id=ADA, closed=closed(10, Verdict.SOLVED, 11_500), next=view(11, 11_500))),
    (
        11_500,
        rooms.PointsAwarded(
            from_player_id=ADA, to_player_id=BEN, puzzle_id=PuzzleId(UUID(int=10)), amount=2, base=5, zero_at=15_000
        ),
    ),
    (12_500, rooms.PuzzleFailed(player_id=BEN, closed=closed(20, Verdict.FAILED, 12_500), next=view(21, 12_500))),
    (13_000, rooms.PlayerEliminated(player_id=ADA, eliminated_at=13_000)),
    (15_000, rooms.PlayerEliminated(player_id=BEN, eliminated_at=15_000)),
    (15_000, rooms.SessionFinished(finished_at=15_000, survival_ms=5_000, reason=EndReason.ALL_OUT)),
]
FACTS = [fact for _, fact in LOG]


def state_at(seq: int) -> State:
    """The state after the first `seq` events."""
    state = None
    for fact in FACTS[:seq]:
        state = replay.apply(state, fact)
    if state is None:
        raise ValueError("there is no state before the first event")
    return state


def event_frame(seq: int) -> str:
    """The frame of event `seq`, as it comes over the socket."""
    at, fact = LOG[seq - 1]
    return encode_event(RoomSeq(seq), at, fact).decode()


def snapshot_frame(seq: int, state: State | None = None) -> str:
    raw = msgspec.Raw(rooms.encode(state or state_at(seq)))
    return frames.encode(frames.Snapshot(seq=RoomSeq(seq), now=1, state=raw)).decode()


def welcome_frame(*, recovered: bool = False, epoch: str = "e1") -> str:
    welcome = frames.Welcome(
        protocol=frames.PROTOCOL,
        session_id=SESSION,
        role="player",
        player_id=ADA,
        epoch=epoch,
        recovered=recovered,
        now=7,
    )
    return frames.encode(welcome).decode()


def tick_frame(seq: int, at: int, points: dict[PlayerId, int]) -> str:
    return frames.encode(frames.Tick(seq=RoomSeq(seq), at=at, next_at=at, points=points)).decode()
