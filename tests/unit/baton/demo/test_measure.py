from uuid import UUID

import pytest

from baton.demo.measure import Latencies, Stopwatch, percentile, spread
from contracts.ids import PuzzleId

PUZZLE = PuzzleId(UUID(int=1))


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([], 50, None),
        ([7.0], 1, 7.0),
        ([7.0], 99, 7.0),
        ([3.0, 1.0, 2.0], 50, 2.0),
        ([4.0, 3.0, 2.0, 1.0], 50, 2.0),
        ([float(n) for n in range(1, 101)], 99, 99.0),
        ([float(n) for n in range(1, 102)], 99, 100.0),
        ([float(n) for n in range(1, 201)], 99, 198.0),
    ],
)
def test_a_percentile_is_the_nearest_rank(values: list[float], percent: float, expected: float | None) -> None:
    assert percentile(values, percent) == expected


def test_a_spread_tells_count_middle_tail_and_worst() -> None:
    found = spread([1.0, 2.0, 30.0])
    assert (found.count, found.p50, found.p99, found.worst) == (3, 2.0, 30.0, 30.0)
    nothing = spread([])
    assert (nothing.count, nothing.p50, nothing.p99, nothing.worst) == (0, None, None, None)


@pytest.fixture
def latencies() -> Latencies:
    return Latencies()


@pytest.fixture
def stopwatch(latencies: Latencies) -> Stopwatch:
    return Stopwatch(2, latencies)


def test_an_answer_is_measured_at_the_last_socket(stopwatch: Stopwatch, latencies: Latencies) -> None:
    stopwatch.sent(PUZZLE, 1.0)
    stopwatch.accepted(PUZZLE, 1.25)
    stopwatch.heard(PUZZLE, 1.375)
    assert latencies.from_request == []
    stopwatch.heard(PUZZLE, 1.5)
    assert latencies == Latencies([500.0], [250.0])


def test_sockets_may_hear_before_the_one_who_answered(stopwatch: Stopwatch, latencies: Latencies) -> None:
    stopwatch.sent(PUZZLE, 1.0)
    stopwatch.heard(PUZZLE, 1.25)
    stopwatch.heard(PUZZLE, 1.125)
    assert latencies.from_request == []
    stopwatch.accepted(PUZZLE, 1.5)
    assert latencies == Latencies([250.0], [-250.0])


def test_a_refused_answer_is_not_measured(stopwatch: Stopwatch, latencies: Latencies) -> None:
    stopwatch.sent(PUZZLE, 1.0)
    stopwatch.refused(PUZZLE)
    stopwatch.heard(PUZZLE, 1.1)
    stopwatch.heard(PUZZLE, 1.2)
    assert latencies == Latencies()


def test_a_puzzle_that_nobody_answered_is_not_measured(stopwatch: Stopwatch, latencies: Latencies) -> None:
    stopwatch.heard(PUZZLE, 1.1)
    assert latencies == Latencies()
