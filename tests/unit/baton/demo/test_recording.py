import pytest
from msgspec.structs import replace

from baton.demo.recording import OutOfStepError, Recording, first_difference, points_at
from contracts import replay
from contracts.ids import RoomSeq
from tests.unit.baton.demo.games import (
    ADA,
    BEN,
    FACTS,
    LOG,
    START,
    event_frame,
    snapshot_frame,
    state_at,
    tick_frame,
    welcome_frame,
)

FIRST = 3


@pytest.fixture
def recording() -> Recording:
    """A client that came in the lobby, when three events had happened."""
    recording = Recording()
    recording.take(welcome_frame(), 0.0)
    recording.take(snapshot_frame(FIRST), 0.0)
    return recording


def hear(recording: Recording, *seqs: int) -> None:
    for seq in seqs:
        recording.take(event_frame(seq), float(seq))


def test_a_whole_game_is_followed_without_a_fault(recording: Recording) -> None:
    hear(recording, *range(FIRST + 1, len(LOG) + 1))
    assert recording.faults == []
    assert recording.seq == len(LOG)
    assert recording.state == state_at(len(LOG))
    assert [(e.seq, e.type, e.at) for e in recording.events] == [
        (seq, FACTS[seq - 1].type, float(seq)) for seq in range(FIRST + 1, len(LOG) + 1)
    ]


@pytest.mark.parametrize("seq", [FIRST, 7, len(LOG)])
def test_the_replay_is_the_state_as_of_any_event(recording: Recording, seq: int) -> None:
    hear(recording, *range(FIRST + 1, len(LOG) + 1))
    assert recording.replayed(RoomSeq(seq)) == state_at(seq)


def test_there_is_no_replay_of_what_was_not_heard(recording: Recording) -> None:
    hear(recording, 4, 5)
    with pytest.raises(replay.ReplayError, match="stands at seq 5, not at 6"):
        recording.replayed(RoomSeq(6))


def test_a_missing_event_is_a_fault_and_sends_the_client_back(recording: Recording) -> None:
    hear(recording, 4)
    with pytest.raises(OutOfStepError):
        hear(recording, 6)
    assert recording.faults == ["sequence: after 4 came 6 (session.started)"]
    assert recording.seq == 4


def test_a_doubled_event_is_a_fault_and_is_not_applied_twice(recording: Recording) -> None:
    hear(recording, *range(FIRST + 1, 10), 9)
    assert recording.faults == ["sequence: event 9 (puzzle.solved) came after 9"]
    assert recording.state == state_at(9)


def test_an_event_before_any_snapshot_is_a_fault() -> None:
    recording = Recording()
    with pytest.raises(OutOfStepError):
        hear(recording, 1)
    assert recording.faults == ["sequence: event 1 came before any snapshot"]


def test_coming_back_with_the_missed_events_is_no_fault(recording: Recording) -> None:
    hear(recording, 4, 5)
    recording.take(welcome_frame(recovered=True), 5.5)
    hear(recording, 6, 7)
    assert recording.faults == []


def test_a_snapshot_in_place_of_missed_events_is_a_fault(recording: Recording) -> None:
    hear(recording, 4, 5)
    recording.take(snapshot_frame(9), 6.0)
    assert recording.faults == ["sequence: after 5 came a snapshot of 9, not the events between"]
    hear(recording, 10, 11)
    assert recording.replayed(RoomSeq(11)) == state_at(11)


def test_a_second_snapshot_has_to_agree_with_the_events(recording: Recording) -> None:
    hear(recording, 4, 5)
    recording.take(snapshot_frame(5), 6.0)
    assert recording.faults == []
    state = state_at(5)
    other = replace(state, players=[replace(state.players[0], name="Eve"), state.players[1]])
    recording.take(snapshot_frame(5, other), 7.0)
    assert recording.faults == [
        "a second snapshot of 5 differs from the events up to it: state.players[0].name is 'Eve', not 'Ada'"
    ]


def test_another_epoch_is_a_fault(recording: Recording) -> None:
    recording.take(welcome_frame(epoch="e2"), 1.0)
    assert recording.faults == ["the epoch changed from e1 to e2"]


def test_an_event_about_a_stranger_is_a_fault(recording: Recording) -> None:
    hear(recording, 4)
    recording.take(event_frame(5).replace("session.countdown", "session.unheard-of"), 5.0)
    assert len(recording.faults) == 1
    assert "unheard-of" in recording.faults[0]


def test_a_right_tick_is_counted_and_nothing_else(recording: Recording) -> None:
    hear(recording, *range(FIRST + 1, 11))
    recording.take(tick_frame(10, 12_400, {ADA: 1, BEN: 3}), 12.0)
    assert (recording.ticks, recording.faults) == (1, [])
    assert recording.clock_ahead_ms == 400.0


def test_a_tick_that_contradicts_the_events_is_a_fault(recording: Recording) -> None:
    hear(recording, *range(FIRST + 1, 11))
    recording.take(tick_frame(10, 12_400, {ADA: 1, BEN: 4}), 12.0)
    assert recording.faults == ["the tick at 12400 (seq 10) gives Ben 4, the events give 3"]


def test_a_room_that_is_always_a_little_ahead_is_waited_for(recording: Recording) -> None:
    for seq in range(FIRST, len(LOG)):
        recording.take(tick_frame(seq + 1, 1, {}), 2.0 * seq)
        recording.take(tick_frame(seq + 1, 1, {}), 2.0 * seq + 1.9)
        hear(recording, seq + 1)
    assert recording.faults == []


def test_a_room_that_stays_ahead_sends_the_client_back(recording: Recording) -> None:
    recording.take(tick_frame(5, 1, {}), 1.0)
    with pytest.raises(OutOfStepError):
        recording.take(tick_frame(5, 1, {}), 3.1)
    assert recording.faults == []


@pytest.mark.parametrize(
    ("at", "ada", "ben"),
    [
        (START - 1, 3, 5),
        (START, 3, 5),
        (START + 999, 3, 5),
        (START + 1_000, 2, 4),
        (START + 3_000, 0, 2),
        (START + 99_999, 0, 0),
    ],
)
def test_points_fall_by_the_rules(at: int, ada: int, ben: int) -> None:
    state = state_at(10)
    assert [points_at(state, player, at) for player in state.players] == [ada, ben]


def test_the_first_difference_is_named_by_its_place() -> None:
    assert first_difference({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}) == "state.a[1].b is 3, not 2"
    assert first_difference({"a": [1]}, {"a": [1, 2]}) == "state.a is [1, 2], not [1]"
    assert first_difference({}, {"new": 0}) == "state.new is 0, not None"
    assert first_difference({"gone": 0}, {}) == "state.gone is None, not 0"


def test_null_and_absent_are_no_difference() -> None:
    assert first_difference({"a": None}, {}) is None
