"""Bugs, planted one at a time in the service: the state machine finds each of them within a few games.

They are of the kind that only the service can have: in its SQL, its transactions, its order of events. Bugs in the
rules are planted in `tests/unit/points/test_planted_bugs.py`.
"""

import re
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from contracts.events import PuzzleEvent
from contracts.ids import SessionId
from contracts.rules import AwardTarget, Rules
from services.kit.database import Database, Transaction
from services.kit.streams import Outcome
from services.points.domain.game import Game
from services.points.domain.seats import LedgerEntry
from services.points.repository import games, ledger, saving
from services.points.service import answers, settling
from tests.integration.points.table import DifferenceError, Table, play
from tests.integration.points.world import world

ENOUGH = 640
"""Games in which every bug has to show; most do in the first sixteen."""
Plant = Callable[[pytest.MonkeyPatch], None]
BUGS: dict[str, Plant] = {}


def bug(plant: Plant) -> Plant:
    BUGS[plant.__name__] = plant
    return plant


def not_saved(column: str) -> Plant:
    """The statement that saves games leaves a column as it was."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        genuine = saving._SAVE.text
        faulty = re.sub(rf"\b{column} = (new|excluded)\.{column}, ?", "", genuine)
        assert faulty != genuine
        patch.setattr(saving, "_SAVE", text(faulty))

    return plant


for column in ("zero_at", "settled_at", "due_at", "puzzle_version"):
    BUGS[f"{column}_is_not_saved"] = not_saved(column)


@bug
def an_event_counts_each_time_it_comes(patch: pytest.MonkeyPatch) -> None:
    def take(game: Game, event: PuzzleEvent) -> Outcome:
        if event.version > game.puzzle_version + 1:
            return Outcome.EARLY
        game.puzzle_version = event.version
        game.apply(event)
        return Outcome.DONE

    patch.setattr(answers, "_take", take)


@bug
def an_event_may_come_before_its_predecessor(patch: pytest.MonkeyPatch) -> None:
    def take(game: Game, event: PuzzleEvent) -> Outcome:
        if event.version <= game.puzzle_version:
            return Outcome.DUPLICATE
        if event.version > game.puzzle_version + 2:
            return Outcome.EARLY
        game.puzzle_version = event.version
        game.apply(event)
        return Outcome.DONE

    patch.setattr(answers, "_take", take)


@bug
def what_arrives_together_is_dated_alike(patch: pytest.MonkeyPatch) -> None:
    genuine = answers.apply_all

    async def apply_all(transaction: Transaction, events: Sequence[PuzzleEvent]) -> list[Outcome]:
        latest = {event.session_id: event.at for event in sorted(events, key=lambda event: event.at)}
        dated = [msgspec.structs.replace(event, at=latest[event.session_id]) for event in events]
        return await genuine(transaction, dated)

    patch.setattr(answers, "apply_all", apply_all)


@bug
def the_worker_does_not_wait_for_answers_on_their_way(patch: pytest.MonkeyPatch) -> None:
    genuine = settling._settle

    async def settle(transaction: Transaction, locked: Mapping[SessionId, Game], positions: Mapping[Any, Any]) -> int:
        unasked = {session_id: position._replace(version=0) for session_id, position in positions.items()}
        return await genuine(transaction, locked, unasked)

    patch.setattr(settling, "_settle", settle)


@bug
def ticks_that_were_asked_for_are_lost(patch: pytest.MonkeyPatch) -> None:
    genuine = ledger.take_requests

    async def take(transaction: Transaction, session_ids: Collection[SessionId]) -> dict[SessionId, Any]:
        await genuine(transaction, session_ids)
        return {}

    patch.setattr(ledger, "take_requests", take)


def _entries(patch: pytest.MonkeyPatch, change: Callable[[LedgerEntry], LedgerEntry]) -> None:
    genuine = saving._entry_values
    patch.setattr(saving, "_entry_values", lambda entry: genuine(change(entry)))


@bug
def the_ledger_has_the_seconds_only(patch: pytest.MonkeyPatch) -> None:
    _entries(patch, lambda entry: replace(entry, at=entry.at // 1_000 * 1_000))


@bug
def the_ledgers_key_names_the_receiver_and_no_puzzle(patch: pytest.MonkeyPatch) -> None:
    def keyed(entry: LedgerEntry) -> LedgerEntry:
        key = f"{entry.key.rpartition(':')[0]}:{entry.player_id}"
        return replace(entry, key=key) if entry.kind == "award" else entry

    _entries(patch, keyed)


@bug
def the_target_of_awards_is_not_read(patch: pytest.MonkeyPatch) -> None:
    genuine = games._decode_rules

    def decode(stored: str) -> Rules:
        return msgspec.structs.replace(genuine(stored), award_target=AwardTarget.NEXT_ACTIVE)

    patch.setattr(games, "_decode_rules", decode)


@bug
def a_transaction_is_none(patch: pytest.MonkeyPatch) -> None:
    """Each statement is committed by itself, as it is where somebody has forgotten to begin."""

    @asynccontextmanager
    async def transaction(database: Database, *, snapshot: bool = False) -> AsyncIterator[Transaction]:
        async with database.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            yield Transaction(connection)

    patch.setattr(Database, "transaction", transaction)


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("name", BUGS)
def test_a_bug_planted_in_the_service_is_found(name: str, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    BUGS[name](monkeypatch)
    with world(database_url) as Table.world, pytest.raises(DifferenceError):
        play(ENOUGH, 1)
