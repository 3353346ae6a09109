"""What a finished game should have come to by the reference model, and what its players may have been told."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from tests.e2e.invariants import Records
from tests.reference_model import Line, Reference, Setting, What

CLOSED = {"puzzle.solved", "puzzle.failed", "puzzle.expired"}
NEVER = 1 << 62


def reference(records: Records) -> Reference:
    """The game played by the model, from the instants of its answers and the operators' and the host's words alone."""
    session, rules = records.session, records.session["rules"]
    places = {seat["player_id"]: place for place, seat in enumerate(records.seats)}
    told = [json.loads(bytes(row["frame"])) for row in records.log]
    closing = {event["data"]["closed"]["puzzle_id"]: event for event in told if event["type"] in CLOSED}
    lines: list[tuple[tuple[int, int], Line]] = []
    for puzzle_id, row in records.puzzles.items():
        event, name = closing.get(str(puzzle_id)), str(puzzle_id)
        if row["status"] in {"solved", "failed"}:
            order = row["closed_at"], event["seq"] if event else NEVER
        elif row["status"] == "expired" and event is not None:  # as of when it was noticed; then nobody was out
            order = event["at"], event["seq"]
        else:
            continue
        lines.append((order, Line(order[0], What(row["status"]), places[row["player_id"]], name=name)))
    for event in told:
        if event["type"] == "points.ticked":
            lines.append(((event["at"], event["seq"]), Line(event["at"], What.TICKS, ticks=event["data"]["ticks"])))
    lines.sort(key=lambda line: line[0])
    setting = Setting(
        players=len(records.seats),
        start_points=rules["start_points"],
        decay=rules["decay"],
        interval_ms=rules["interval_ms"],
        award=rules["award"],
        penalty=rules["penalty"],
        next_seat=rules["award_target"] == "next_seat",
        starts_at=session["starts_at"],
    )
    return Reference(setting, [line for _, line in lines], session["ending_at"]).play()


def differences(records: Records) -> Iterator[str]:
    """Where the stored game is other than the model's."""
    model, session = reference(records), records.session
    places = {seat["player_id"]: place for place, seat in enumerate(records.seats)}
    outcomes = {
        str(entry["puzzle_id"]): None if entry["player_id"] is None else places[entry["player_id"]]
        for entry in records.ledger
        if entry["kind"] in {"award", "void"}
    }
    compared: dict[str, tuple[Any, Any]] = {
        "finished_at": (session["finished_at"], model.finished_at),
        "survival_ms": (session["survival_ms"], max(0, (model.finished_at or 0) - session["starts_at"])),
        "end_reason": (session["end_reason"], "ended_by_host" if model.ended_by_host else "all_out"),
        "what solved puzzles paid": (outcomes, model.paid),
    }
    for seat, person in zip(records.seats, model.people, strict=True):
        compared[seat["name"]] = (
            tuple(seat[name] for name in ("eliminated_at", "base", "solved", "failed", "expired")),
            (person.out_at, person.moved, person.solved, person.failed, person.expired),
        )
    for what, (found, due) in compared.items():
        if found != due:
            yield f"{what} is {found}, and by the reference model {due}"


def leaks(records: Records) -> Iterator[str]:
    """Where the log, which is what every client receives, tells of an open puzzle anything but its public view."""
    for row in records.log:
        event = json.loads(bytes(row["frame"]))
        closed = event["data"].get("closed") if event["type"] in CLOSED else None
        if closed is not None and closed["closed_at"] > event["at"]:
            yield f"event {row['seq']} tells the solution of {closed['puzzle_id']} before it was closed"
        for part in _objects({name: value for name, value in event["data"].items() if name != "closed"}):
            if leaked := {"solution", "hidden"} & part.keys():
                yield f"event {row['seq']} has {leaked}: {part}"
            if "view" in part and part["view"] != records.puzzles[UUID(part["puzzle_id"])]["view"]:
                yield f"event {row['seq']} shows of {part['puzzle_id']} {part['view']}"


def _objects(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for part in value.values():
            yield from _objects(part)
    elif isinstance(value, list):
        for part in value:
            yield from _objects(part)
