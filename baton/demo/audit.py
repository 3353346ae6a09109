"""After the game: does everything that anybody was told fit together? Differences come back in words."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from baton.demo.recording import Recording, first_difference
from baton.demo.replies import Judged, Results
from contracts import frames, replay, rooms
from contracts.ids import PuzzleId, RoomSeq
from contracts.rooms import State


def facts(recording: Recording) -> Iterator[rooms.Fact]:
    """All facts of the recording, in order."""
    for received in recording.events:
        yield frames.decode_event(received.frame).data


def replay_difference(recording: Recording, seq: RoomSeq, state: State) -> str | None:
    """Where the replay of what a client received differs from the server's `state` as of `seq`; None if nowhere."""
    try:
        replayed = recording.replayed(seq)
    except replay.ReplayError as error:
        return str(error)
    return first_difference(state, replayed)


def payment_faults(log: Iterable[rooms.Fact]) -> list[str]:
    """Every solved puzzle is paid or voided, and no puzzle twice."""
    solved: set[PuzzleId] = set()
    settled: Counter[PuzzleId] = Counter()
    for fact in log:
        if isinstance(fact, rooms.PuzzleSolved):
            solved.add(fact.closed.puzzle_id)
        elif isinstance(fact, rooms.PointsAwarded | rooms.PointsVoided):
            settled[fact.puzzle_id] += 1
    unpaid = [f"solved puzzle {puzzle} was neither paid nor voided" for puzzle in solved - settled.keys()]
    unsolved = [f"puzzle {puzzle} was paid but never solved" for puzzle in settled.keys() - solved]
    twice = [f"puzzle {puzzle} was paid {times} times" for puzzle, times in settled.items() if times > 1]
    return unpaid + unsolved + twice


def unheard_answers(
    judged: Mapping[PuzzleId, Judged], log: Iterable[rooms.Fact], out_at: int | None
) -> tuple[int, list[str]]:
    """Accepted answers of a player that no event tells of: how many came too late, and those that were lost.

    Too late is what was closed at `out_at` or after it, the instant of the player's elimination or the game's end.
    """
    told = {f.closed.puzzle_id for f in log if isinstance(f, rooms.PuzzleSolved | rooms.PuzzleFailed)}
    unheard = [answer for puzzle_id, answer in judged.items() if puzzle_id not in told]
    lost = [answer for answer in unheard if out_at is None or answer.closed.closed_at < out_at]
    words = [
        f"the accepted answer to puzzle {a.puzzle_id} was lost: closed at {a.closed.closed_at}, out at {out_at}"
        for a in lost
    ]
    return len(unheard) - len(lost), words


def out_at(state: State, player: rooms.Player) -> int | None:
    """From when on a player's answers count no more."""
    ends = [instant for instant in (player.eliminated_at, state.finished_at) if instant is not None]
    return min(ends, default=None)


def result_differences(results: Results, state: State, log: Iterable[rooms.Fact]) -> list[str]:
    """Where the results say other than the final state and the events."""
    given: Counter[str] = Counter()
    received: Counter[str] = Counter()
    for fact in log:
        if isinstance(fact, rooms.PointsAwarded):
            given[str(fact.from_player_id)] += fact.amount
            received[str(fact.to_player_id)] += fact.amount
    told = {
        "survival_ms": results.survival_ms,
        "end_reason": results.end_reason.value,
        "kept_alive_points": sum(gift.points for gift in results.kept_alive),
        "players": [
            [str(p.player_id), p.solved, p.failed, p.expired, p.points_given, p.points_received]
            for p in results.players
        ],
    }
    expected = {
        "survival_ms": state.survival_ms,
        "end_reason": state.end_reason.value if state.end_reason else None,
        "kept_alive_points": given.total(),
        "players": [
            [id_, p.solved, p.failed, p.expired, given[id_], received[id_]]
            for p in state.players
            if (id_ := str(p.player_id))
        ],
    }
    found = first_difference(expected, told, "results")
    return [found] if found else []
