"""A finished game follows from its log, and whatever else is stored of it is told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

import msgspec
import pytest

from contracts.frames import NumberedEvent, decode_event, encode_event
from contracts.ids import PlayerId, RoomSeq
from contracts.rooms import EndReason, VoidReason
from services.points.domain.comparing import LIMIT, differences
from services.points.domain.game import Game
from services.points.domain.seats import LedgerEntry
from tests.factories import Puzzles, lobby, running
from tests.random_games import play_and_compare


@dataclass
class Stored:
    """What is stored of a game, as it is read again."""

    game: Game
    log: list[NumberedEvent]
    entries: list[LedgerEntry]

    @classmethod
    def of(cls, game: Game) -> "Stored":
        frames = [encode_event(RoomSeq(seq), at, fact) for seq, (at, fact) in enumerate(game.facts, start=1)]
        game.seq = len(frames)
        return cls(game, [decode_event(frame) for frame in frames], list(game.entries))

    def differences(self) -> list[str]:
        return differences(self.game, self.log, self.entries)

    def change_entry(self, kind: str, **changes: object) -> None:
        place = next(place for place, entry in enumerate(self.entries) if entry.kind == kind)
        self.entries[place] = replace(self.entries[place], **changes)  # type: ignore[arg-type]  # any field at all

    def event(self, kind: str) -> int:
        return next(place for place, event in enumerate(self.log) if event.type == kind)

    def change_event(self, kind: str, **changes: object) -> None:
        place = self.event(kind)
        data = msgspec.structs.replace(self.log[place].data, **changes)
        self.log[place] = msgspec.structs.replace(self.log[place], data=data)


def a_whole_game() -> Stored:
    """Everything that can happen in one."""
    game = lobby(3, penalty=2, countdown_ms=100)
    game.set_ready(game.seats[1].player_id, True, 5)
    game.leave(game.seats[2].player_id, 6)
    game.join(PlayerId(uuid4()), 2, "Late", "#123456", 7)
    game.start(10)
    make = Puzzles(game.session_id)
    first, second, third = (seat.player_id for seat in game.seats)
    for player_id in (first, second, third):
        game.apply(make.assigned(player_id, 200))
    game.apply(make.solved(first, 1_000))
    game.apply(make.failed(second, 2_000))
    game.apply(make.expired(third, 3_000))
    game.tick(4_000, 2, uuid4())
    game.tick(4_000, 1, uuid4())
    game.apply(make.solved(third, 50_000))
    game.apply(make.solved(second, 60_110))
    game.apply(make.solved(third, 61_000))  # out since 60 110
    game.advance(10**7)
    game.apply(make.solved(first, 10**7 + 5))  # after the end
    assert [entry.reason for entry in game.entries if entry.kind == "void"] == [
        VoidReason.SOLVER_OUT,
        VoidReason.SOLVER_OUT,
    ]
    return Stored.of(game)


def test_a_game_in_which_everything_happened_follows_from_its_log() -> None:
    assert a_whole_game().differences() == []


def test_random_games_follow_from_their_logs() -> None:
    for seed in range(300):
        assert Stored.of(play_and_compare(seed).game).differences() == [], seed


@pytest.mark.parametrize("at", [4, 11, 60, 30_000])
def test_a_game_that_was_ended_early_follows_from_its_log(at: int) -> None:
    game = lobby(2, countdown_ms=50)
    if at > 10:
        game.start(10)
    game.end(at)
    game.advance(10**7)
    assert game.survival_ms == max(0, at - 60)
    assert Stored.of(game).differences() == []


def test_an_answer_after_the_hosts_end_follows_too() -> None:
    game = running(2)
    game.end(30_000)
    game.advance(30_000)
    game.apply(Puzzles(game.session_id).solved(game.seats[0].player_id, 30_001))
    assert game.entries[-1].reason is VoidReason.SESSION_OVER
    assert Stored.of(game).differences() == []


def test_an_abandoned_lobby_follows_from_its_log() -> None:
    game = lobby(1)
    game.end(99, EndReason.ABANDONED)
    assert Stored.of(game).differences() == []


def _survival(stored: Stored) -> None:
    stored.game.survival_ms = (stored.game.survival_ms or 0) + 1


def _elimination(stored: Stored) -> None:
    stored.game.seats[0].eliminated_at = (stored.game.seats[0].eliminated_at or 0) - 1


def _base(stored: Stored) -> None:
    stored.game.seats[1].base += 1


def _solved(stored: Stored) -> None:
    stored.game.seats[1].solved += 1


def _host(stored: Stored) -> None:
    stored.game.end_reason = EndReason.ENDED_BY_HOST


def _lost_entry(stored: Stored) -> None:
    del stored.entries[3]


def _lost_event(stored: Stored) -> None:
    del stored.log[stored.event("puzzle.failed")]


def _lost_award(stored: Stored) -> None:
    """As if the transaction had been half done: all traces of it but the solved puzzle."""
    del stored.log[stored.event("points.awarded")]
    stored.log = [msgspec.structs.replace(event, seq=RoomSeq(n)) for n, event in enumerate(stored.log, start=1)]
    stored.game.seq -= 1
    stored.entries = [entry for entry in stored.entries if entry.at != 1_000]


def _doubled_event(stored: Stored) -> None:
    stored.log.insert(8, stored.log[7])


def _more_events(stored: Stored) -> None:
    stored.log.append(msgspec.structs.replace(stored.log[-1], seq=RoomSeq(len(stored.log) + 1)))
    stored.game.seq += 1


def _no_log(stored: Stored) -> None:
    stored.log.clear()


def _headless(stored: Stored) -> None:
    del stored.log[0]


def _no_end(stored: Stored) -> None:
    stored.game.finished_at = None


def _disorder(stored: Stored) -> None:
    stored.entries[4], stored.entries[5] = stored.entries[5], stored.entries[4]


def _ticks_unentered(stored: Stored) -> None:
    stored.entries = [entry for entry in stored.entries if entry.kind != "tick"]


@pytest.mark.parametrize(
    "corrupt",
    [
        *(_survival, _elimination, _base, _solved, _host, _lost_entry, _lost_event, _lost_award, _doubled_event),
        *(_more_events, _no_log, _headless, _no_end, _disorder, _ticks_unentered),
        lambda stored: stored.change_entry("award", amount=6),
        lambda stored: stored.change_entry("award", at=1_001),
        lambda stored: stored.change_entry("award", base=19),
        lambda stored: stored.change_entry("award", player_id=stored.game.seats[2].player_id),
        lambda stored: stored.change_entry("award", from_player_id=stored.game.seats[2].player_id),
        lambda stored: stored.change_entry("award", puzzle_id=uuid4()),
        lambda stored: stored.change_entry("award", key="solve:twice"),
        lambda stored: stored.change_entry("void", from_player_id=None),
        lambda stored: stored.change_event("points.awarded", amount=4),
        lambda stored: stored.change_event("player.eliminated", eliminated_at=5),
        lambda stored: stored.change_event("session.countdown", starts_at=111),
        lambda stored: stored.change_event("session.finished", survival_ms=1),
        lambda stored: stored.change_event("puzzle.solved", player_id=stored.game.seats[2].player_id),
    ],
)
def test_whatever_is_stored_wrongly_is_told(corrupt: Callable[[Stored], None]) -> None:
    stored = a_whole_game()
    corrupt(stored)
    found = stored.differences()
    assert found
    assert len(found) <= LIMIT
    assert all(found)


def _words(found: Sequence[str]) -> str:
    return "\n".join(found)


def test_the_difference_says_what_and_where() -> None:
    stored = a_whole_game()
    _survival(stored)
    words = _words(stored.differences())
    assert f"survival_ms is {stored.game.survival_ms}" in words
    stored = a_whole_game()
    key = stored.entries[3].key
    _lost_entry(stored)
    assert f"ledger {key} is None, and the rules give LedgerEntry(" in _words(stored.differences())


def test_points_without_a_beginning_are_told() -> None:
    game = lobby(1)
    game.end(9)
    stored = Stored.of(game)
    stored.entries.append(LedgerEntry("x", 9, "award", 5, game.seats[0].player_id, base=5))
    assert "the game never began, and has 1 ledger entries and 0 ms" in _words(stored.differences())
