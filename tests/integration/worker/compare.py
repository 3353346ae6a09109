"""What a played game should have come to, by the reference model, from the instants of its answers alone."""

from typing import Any

from contracts.ids import SessionId
from tests.points_game import Rows
from tests.reference_model import Line, Reference, Setting, What


def assert_as_the_reference_says(rows: Rows, session_id: SessionId) -> Reference:
    """Compare a finished game in the database with the model's; nobody was wrong, and no operator took ticks."""
    session = rows.one("SELECT * FROM points.sessions WHERE session_id = %s", session_id)
    assert session["status"] == "finished"
    seats = rows.all("SELECT * FROM points.seats WHERE session_id = %s ORDER BY seat", session_id)
    places = {seat["player_id"]: place for place, seat in enumerate(seats)}
    solved = [entry for entry in rows.ledger(session_id) if entry["kind"] in {"award", "void"}]
    rules: dict[str, Any] = session["rules"]
    reference = Reference(
        Setting(
            players=len(seats),
            start_points=rules["start_points"],
            decay=rules["decay"],
            interval_ms=rules["interval_ms"],
            award=rules["award"],
            penalty=0,
            next_seat=rules["award_target"] == "next_seat",
            starts_at=session["starts_at"],
        ),
        [Line(e["at"], What.SOLVED, places[e["from_player_id"]], name=str(e["puzzle_id"])) for e in solved],
        session["ending_at"],
    ).play()
    assert [seat["eliminated_at"] for seat in seats] == [person.out_at for person in reference.people]
    assert [seat["base"] for seat in seats] == [person.moved for person in reference.people]
    assert [seat["solved"] for seat in seats] == [person.solved for person in reference.people]
    assert session["survival_ms"] == (reference.finished_at or 0) - session["started_at"]
    assert {str(e["puzzle_id"]): e["player_id"] and places[e["player_id"]] for e in solved} == reference.paid
    assert len(solved) == len(reference.paid)  # one entry a puzzle
    return reference
