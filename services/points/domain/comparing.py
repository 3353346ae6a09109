"""Whether what is stored of a finished game is what follows from its log: the differences, in words."""

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from contracts import replay, rooms
from contracts.frames import NumberedEvent
from services.points.domain.game import Game
from services.points.domain.replaying import recreate
from services.points.domain.seats import LedgerEntry
from services.points.domain.views import public_state

LIMIT = 20
"""So many differences are told; where there are more, they have one cause."""


def differences(game: Game, log: Sequence[NumberedEvent], entries: Sequence[LedgerEntry]) -> list[str]:
    """What a stored finished game and its log and ledger do not agree in, in words. Nothing, if all is well.

    Where they are so broken that they cannot be replayed, that is a difference too.
    """
    found: list[str] = []
    try:
        for difference in _differences(game, log, entries):
            found.append(difference)
            if len(found) == LIMIT:
                break
    except Exception as error:  # noqa: BLE001 (a broken log may break anything, and is just what is looked for)
        found.append(f"the replay broke off: {error!r}"[:500])
    return found


def _differences(game: Game, log: Sequence[NumberedEvent], entries: Sequence[LedgerEntry]) -> Iterator[str]:
    numbers = [event.seq for event in log]
    if numbers != list(range(1, game.seq + 1)):
        yield f"the log has {len(numbers)} events, numbered up to {max(numbers, default=0)}, and should have {game.seq}"
    yield from _by_ledger(game, entries)
    state = None
    for event in log:
        state = replay.apply(state, event.data)
    yield from _fields("state by the log", state, public_state(game))
    again = recreate(log, entries)
    yield from _facts(again.facts, [(event.at, event.data) for event in log])
    yield from _entries(again.entries, entries)
    yield from _fields("state by the rules", public_state(again), public_state(game))


def _by_ledger(game: Game, entries: Sequence[LedgerEntry]) -> Iterator[str]:
    """Amounts and the decay's schedule alone give every elimination and, with them, the time survived."""
    finished_at, started_at = game.finished_at, game.started_at
    if finished_at is None:
        yield "the game is not finished"
        return
    if started_at is None:
        if entries or game.survival_ms != 0:
            yield f"the game never began, and has {len(entries)} ledger entries and {game.survival_ms} ms"
        return
    for seat in game.seats:
        own = [entry for entry in entries if entry.player_id == seat.player_id]
        base = sum(entry.amount for entry in own)
        intervals = -(-base // game.rules.decay)
        zero_at = max([started_at + intervals * game.rules.interval_ms, *(entry.at for entry in own[-1:])])
        due = base, zero_at, zero_at if zero_at <= finished_at else None
        if (found := (seat.base, seat.zero_at, seat.eliminated_at)) != due:
            yield f"{seat.name}: base, zero_at and eliminated_at are {found}, and the ledger gives {due}"
    if game.survival_ms != finished_at - started_at:
        yield f"survival_ms is {game.survival_ms}, and between start and end are {finished_at - started_at}"


def _facts(again: Sequence[tuple[int, rooms.Fact]], log: Sequence[tuple[int, rooms.Fact]]) -> Iterator[str]:
    """The first event in which they differ: what comes after it follows from it."""
    for number, (due, found) in enumerate(zip(again, log, strict=False), start=1):
        if due != found:
            yield f"event {number} is {found[1]} at {found[0]}, and the rules give {due[1]} at {due[0]}"
            return
    if len(again) != len(log):
        longer = (again if len(again) > len(log) else log)[min(len(again), len(log)) :]
        yield f"the log has {len(log)} events, and the rules give {len(again)}; the next is {longer[0]}"


def _entries(again: Sequence[LedgerEntry], stored: Sequence[LedgerEntry]) -> Iterator[str]:
    due, found = ({entry.key: entry for entry in entries} for entries in (again, stored))
    for key in sorted(due.keys() | found.keys()):
        if due.get(key) != found.get(key):
            yield f"ledger {key} is {found.get(key)}, and the rules give {due.get(key)}"
    instants = [entry.at for entry in stored]
    if instants != sorted(instants):
        yield f"the ledger's instants are not in order: {instants}"


def _fields(what: str, due: Any, found: Any) -> Iterator[str]:
    """Where two structures differ, field by field."""
    if isinstance(due, Struct) and type(due) is type(found):
        for name in due.__struct_fields__:
            yield from _fields(f"{what}: {name}", getattr(due, name), getattr(found, name))
    elif isinstance(due, list) and isinstance(found, list) and len(due) == len(found):
        for place, pair in enumerate(zip(due, found, strict=True)):
            yield from _fields(f"{what} {place}", *pair)
    elif due != found:
        yield f"{what} is {due}, and stored is {found}"
