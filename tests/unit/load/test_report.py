"""From repetitions to rows."""

import json
from pathlib import Path
from typing import Any

from tests.load import report
from tests.load.measure import Outcome
from tests.load.subjects.base import Subject
from tests.load.subjects.baton import Baton
from tests.load.subjects.floor import Floor
from tests.load.workloads import CROWD, IDLE, STORM, TEAMS

SUBJECTS: list[Subject] = [Floor(), Baton()]
REQUIRED = {
    "workload",
    "subject",
    "cpu_us_per_delivery",
    "ratio_to_floor",
    "delivered",
    "lost",
    "p50_ms",
    "p99_ms",
    "p999_ms",
    "kb_per_connection",
}


def outcome(cost: float, **more: Any) -> Outcome:
    figures = {"delivered": 100, "p50_ms": 1.0, "p99_ms": 2.0, "p999_ms": 3.0, "cpu_us_per_delivery": cost}
    return Outcome(**(figures | more))


def test_a_ratio_compares_runs_of_the_same_repetition() -> None:
    floors, ours = [outcome(10.0), outcome(20.0), outcome(10.0)], [outcome(12.0), outcome(26.0), outcome(40.0)]

    floor, baton = report.rows([CROWD], SUBJECTS, {("crowd", "floor"): floors, ("crowd", "baton"): ours})

    assert floor["ratio_to_floor"] == 1.0
    assert baton["ratio_to_floor"] == 1.3
    assert baton["cpu_us_per_delivery"] == 26.0


def test_a_failed_repetition_leaves_the_others_in_their_places() -> None:
    floors, ours = [outcome(10.0), outcome(20.0)], [None, outcome(30.0)]

    _, baton = report.rows([CROWD], SUBJECTS, {("crowd", "floor"): floors, ("crowd", "baton"): ours})

    assert (baton["ratio_to_floor"], baton["repetitions"]) == (1.5, 1)


def test_losses_of_all_repetitions_are_summed() -> None:
    [row] = report.rows([TEAMS], SUBJECTS, {("teams", "baton"): [outcome(9.0, lost=0), outcome(9.0, lost=7)]})

    assert (row["lost"], row["delivered"], row["rate"]) == (7, 200, 5000)
    assert row["ratio_to_floor"] is None


def test_a_subject_that_always_failed_has_no_row() -> None:
    assert report.rows([CROWD], SUBJECTS, {("crowd", "baton"): [None, None]}) == []


def test_rows_are_written_with_all_that_a_reader_expects(tmp_path: Path) -> None:
    report.write(tmp_path / "fanout.json", report.rows([CROWD], SUBJECTS, {("crowd", "floor"): [outcome(9.0)]}))

    [row] = json.loads((tmp_path / "fanout.json").read_text())
    assert row.keys() >= REQUIRED


def test_loads_are_of_the_size_that_their_names_say() -> None:
    assert (CROWD.connections, CROWD.rooms, CROWD.rate) == (1000, 1, 50)
    assert (TEAMS.connections, TEAMS.rooms, TEAMS.rate) == (2000, 500, 5000)
    assert (STORM.connections, STORM.rate) == (2000, 0)
    members = IDLE.members()
    assert len(members) == IDLE.connections
    assert sum(1 for room in members if room >= len(IDLE.sizes)) == 10_000
    assert (max(IDLE.sizes), min(IDLE.sizes), len(IDLE.sizes)) == (400, 2, 200)
