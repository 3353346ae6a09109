from uuid import UUID

from msgspec.structs import replace

from baton.demo import audit
from baton.demo.recording import Recording
from baton.demo.replies import Judged, KeptAlive, PlayerResult, Results
from contracts import rooms
from contracts.ids import PlayerId, PuzzleId, RoomSeq
from contracts.puzzles import Verdict
from contracts.rooms import EndReason
from tests.unit.baton.demo.games import (
    ADA,
    BEN,
    FACTS,
    LOG,
    SESSION,
    closed,
    event_frame,
    snapshot_frame,
    state_at,
    view,
)

FINAL = state_at(len(LOG))


def recorded(tamper: dict[int, str] | None = None) -> Recording:
    """A recording of the game, in which the frames of some events are other ones."""
    recording = Recording()
    recording.take(snapshot_frame(1), 0.0)
    for seq in range(2, len(LOG) + 1):
        recording.take((tamper or {}).get(seq, event_frame(seq)), 0.0)
    return recording


def judged(number: int, closed_at: int) -> dict[PuzzleId, Judged]:
    answer = closed(number, Verdict.SOLVED, closed_at)
    return {answer.puzzle_id: Judged(puzzle_id=answer.puzzle_id, verdict=answer.verdict, closed=answer, next=view(99))}


def player(player_id: PlayerId, seat: int, solved: int, failed: int, given: int, received: int) -> PlayerResult:
    return PlayerResult(
        player_id=player_id, seat=seat, name="", colour="", survived_ms=0, solved=solved, failed=failed, expired=0,
        points_given=given, points_received=received,
    )  # fmt: skip


RESULTS = Results(
    session_id=SESSION,
    survival_ms=5_000,
    end_reason=EndReason.ALL_OUT,
    players=[player(ADA, 0, 1, 0, 2, 0), player(BEN, 1, 0, 1, 0, 2)],
    kept_alive=[KeptAlive(from_player_id=ADA, to_player_id=BEN, points=2, awards=1)],
)


def test_a_true_recording_replays_to_the_final_state() -> None:
    assert audit.replay_difference(recorded(), RoomSeq(len(LOG)), FINAL) is None


def test_a_tampered_recording_does_not() -> None:
    tampered = recorded({10: event_frame(10).replace('"base":5', '"base":6')})
    assert tampered.faults == []
    found = audit.replay_difference(tampered, RoomSeq(len(LOG)), FINAL)
    assert found == "state.players[1].base is 6, not 5"


def test_a_recording_with_a_hole_does_not() -> None:
    recording = recorded()
    del recording.events[6]
    assert audit.replay_difference(recording, RoomSeq(len(LOG)), FINAL) == "in the recording, 9 comes after 7"


def test_a_recording_that_ends_early_does_not() -> None:
    recording = recorded()
    del recording.events[-1]
    found = audit.replay_difference(recording, RoomSeq(len(LOG)), FINAL)
    assert found == f"the recording stands at seq {len(LOG) - 1}, not at {len(LOG)}"


def test_the_facts_of_a_recording_are_those_of_the_game() -> None:
    assert list(audit.facts(recorded())) == FACTS[1:]


def test_each_solved_puzzle_is_paid_once() -> None:
    assert audit.payment_faults(FACTS) == []
    award = next(fact for fact in FACTS if isinstance(fact, rooms.PointsAwarded))
    assert audit.payment_faults([*FACTS, award]) == [f"puzzle {award.puzzle_id} was paid 2 times"]
    assert audit.payment_faults([fact for fact in FACTS if fact is not award]) == [
        f"solved puzzle {award.puzzle_id} was neither paid nor voided"
    ]
    other = replace(award, puzzle_id=PuzzleId(UUID(int=77)))
    assert audit.payment_faults([*FACTS, other]) == [f"puzzle {other.puzzle_id} was paid but never solved"]


def test_an_accepted_answer_that_was_told_of_is_neither_late_nor_lost() -> None:
    assert audit.unheard_answers(judged(10, 11_500), FACTS, 13_000) == (0, [])


def test_an_answer_at_the_instant_of_the_elimination_came_too_late() -> None:
    assert audit.unheard_answers(judged(11, 13_000), FACTS, 13_000) == (1, [])


def test_an_accepted_answer_before_it_that_nobody_was_told_of_is_lost() -> None:
    late, lost = audit.unheard_answers(judged(11, 12_999), FACTS, 13_000)
    assert (late, len(lost)) == (0, 1)
    assert "was lost: closed at 12999, out at 13000" in lost[0]


def test_a_player_is_out_with_the_elimination_or_the_end_of_the_game() -> None:
    ada, ben = FINAL.players
    assert (audit.out_at(FINAL, ada), audit.out_at(FINAL, ben)) == (13_000, 15_000)
    assert audit.out_at(FINAL, replace(ben, eliminated_at=None)) == 15_000
    assert audit.out_at(state_at(10), state_at(10).players[0]) is None


def test_results_that_agree_have_no_difference() -> None:
    assert audit.result_differences(RESULTS, FINAL, FACTS) == []


def test_results_that_disagree_are_told() -> None:
    assert audit.result_differences(replace(RESULTS, survival_ms=4_999), FINAL, FACTS) == [
        "results.survival_ms is 4999, not 5000"
    ]
    assert audit.result_differences(replace(RESULTS, kept_alive=[]), FINAL, FACTS) == [
        "results.kept_alive_points is 0, not 2"
    ]
    greedy = [player(ADA, 0, 1, 0, 3, 0), RESULTS.players[1]]
    assert audit.result_differences(replace(RESULTS, players=greedy), FINAL, FACTS) == [
        "results.players[0][4] is 3, not 2"
    ]
