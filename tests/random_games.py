"""Random games, played by the real rules and by the plain reference model, and compared in everything.

The real game is fed as the service feeds it: events in their order, the worker's settlings at any instants in between
(late, doubled, not at all), the host's word before or after answers that were given earlier.
"""

import random
from dataclasses import dataclass
from itertools import accumulate
from uuid import UUID

from contracts import replay
from contracts.events import PuzzleEvent
from contracts.ids import PuzzleId
from contracts.rooms import EndReason, State, Status
from services.points.domain.game import Game
from services.points.domain.views import points_of, public_state
from tests.factories import Puzzles, lobby
from tests.reference_model import Line, Reference, Setting, What

FOR_EVER = 10**9


@dataclass
class Played:
    """A random game: its log, and the real game that it is fed to."""

    reference: Reference
    game: Game
    puzzles: Puzzles
    chance: random.Random
    state: State | None = None
    seen: int = 0


def a_random_game(seed: int) -> Played:
    chance = random.Random(seed)
    setting = Setting(
        players=chance.choice([1, 2, 2, 3, 4, 4, 4, 7]),
        start_points=chance.choice([1, 2, 5, 15, 16]),
        decay=chance.choice([1, 1, 1, 2, 3, 7]),
        interval_ms=chance.choice([250, 251, 1_000, 5_000]),
        award=chance.choice([0, 1, 2, 5]),
        penalty=chance.choice([0, 0, 1, 3, 50]),
        next_seat=chance.random() < 0.3,
        starts_at=chance.choice([0, 777, 3_000]),
    )
    length = setting.interval_ms * (-(-setting.start_points // setting.decay) + 3)
    log = [a_random_line(chance, setting, length, number) for number in range(chance.randrange(28))]
    # At one instant answers come before an operator's ticks: a settling takes effect after what it was vouched for.
    log.sort(key=lambda line: (line.at, line.what is What.TICKS))
    end_at = chance.randrange(setting.starts_at + length) if chance.random() < 0.3 else None
    if end_at is not None and end_at < setting.starts_at:
        log = []
    # Which of an end and an answer at one and the same millisecond comes first, only their order in the log says.
    log = [line for line in log if line.at != end_at]
    game = lobby_of(setting)
    game.start(0)
    return Played(Reference(setting, log, end_at).play(), game, Puzzles(game.session_id), chance)


def lobby_of(setting: Setting, made_at: int = 0) -> Game:
    """The real game by these rules, that begins when it has to if it is started at `made_at`."""
    return lobby(
        setting.players,
        created_at=made_at,
        countdown_ms=setting.starts_at - made_at,
        start_points=setting.start_points,
        decay=setting.decay,
        interval_ms=setting.interval_ms,
        award=setting.award,
        penalty=setting.penalty,
        award_target="next_seat" if setting.next_seat else "next_active",
    )


def a_random_line(chance: random.Random, setting: Setting, length: int, number: int) -> Line:
    at = setting.starts_at + chance.randrange(length)
    if chance.random() < 0.4:  # on a tick, or one beside it: where ties are decided
        at -= (at - setting.starts_at) % setting.interval_ms + chance.choice([0, 0, 1, -1])
        at = max(at, setting.starts_at)
    what = chance.choice([What.SOLVED] * 6 + [What.FAILED] * 2 + [What.EXPIRED, What.TICKS])
    return Line(at, what, chance.randrange(setting.players), chance.choice([1, 1, 2, 30]), str(UUID(int=number + 1)))


def play(played: Played) -> None:
    """Feed the log to the real game, with settlings in between; compare after each step."""
    game, chance = played.game, played.chance
    log, end_at = played.reference.log, played.reference.end_at
    host_speaks_before = None
    if end_at is not None:
        host_speaks_before = chance.randint(0, sum(line.at < end_at for line in log))
    for number in range(len(log) + 1):
        if number == host_speaks_before and end_at is not None:
            game.end(end_at)
            compare_step(played)
        soonest = log[number - 1].at if number else 0
        latest = log[number].at - 1 if number < len(log) else soonest + 100_000
        for _ in range(chance.randrange(3) if soonest <= latest else 0):
            soonest = chance.randint(soonest, latest)
            compare_points(played, soonest)
            if chance.random() < 0.5:
                game.advance(soonest)
                compare_step(played)
                compare_points(played, soonest)
        if number < len(log):
            happen(played, log[number])
            compare_step(played)
    game.advance(FOR_EVER)
    compare_step(played)


def happen(played: Played, line: Line) -> None:
    if line.what is What.TICKS:
        played.game.tick(line.at, line.ticks, UUID(line.name))
        return
    make = {What.SOLVED: played.puzzles.solved, What.FAILED: played.puzzles.failed}.get(
        line.what, played.puzzles.expired
    )
    player_id = played.game.seats[line.player].player_id
    event: PuzzleEvent = make(player_id, line.at, puzzle_id=PuzzleId(UUID(line.name)))
    played.game.apply(event)


def compare_points(played: Played, at: int) -> None:
    if played.game.started_at is None and played.game.status is Status.FINISHED:
        return
    assert [points_of(played.game, seat, at) for seat in played.game.seats] == played.reference.points_at(at), at


def compare_step(played: Played) -> None:
    """The replay law: the state that a client has by now, from the facts alone, is the public state."""
    for _, fact in played.game.facts[played.seen :]:
        played.state = replay.apply(played.state, fact)
    played.seen = len(played.game.facts)
    assert played.state == public_state(played.game)


def compare_end(played: Played) -> None:
    game, reference = played.game, played.reference
    starts_at = reference.setting.starts_at
    assert (game.status, game.finished_at) == (Status.FINISHED, reference.finished_at)
    assert game.end_reason is (EndReason.ENDED_BY_HOST if reference.ended_by_host else EndReason.ALL_OUT)
    assert game.survival_ms == max(0, (reference.finished_at or 0) - starts_at)
    for seat, person in zip(game.seats, reference.people, strict=True):
        assert (seat.eliminated_at, seat.solved, seat.failed, seat.expired) == (
            person.out_at,
            person.solved,
            person.failed,
            person.expired,
        )
    instants = [at for at, _ in game.facts]
    assert instants == sorted(instants)


def compare_ledger(played: Played) -> None:
    game, reference = played.game, played.reference
    keys = [entry.key for entry in game.entries]
    assert len(set(keys)) == len(keys)
    for seat, person in zip(game.seats, reference.people, strict=True):
        own = [entry for entry in game.entries if entry.player_id == seat.player_id]
        entries = sum(entry.amount for entry in own)
        assert [entry.base for entry in own] == list(accumulate(entry.amount for entry in own))
        assert entries == seat.base == person.moved
        if game.started_at is not None and game.finished_at is not None:
            until = game.finished_at if seat.eliminated_at is None else seat.eliminated_at
            decayed = game.rules.decay * ((until - game.started_at) // game.rules.interval_ms)
            assert max(0, entries - decayed) == person.points
    places = {seat.player_id: place for place, seat in enumerate(game.seats)}
    paid = {
        str(entry.puzzle_id): None if entry.player_id is None else places[entry.player_id]
        for entry in game.entries
        if entry.kind in {"award", "void"}
    }
    assert paid == reference.paid


def play_and_compare(seed: int) -> Played:
    """Play the game of this number both ways. Raises AssertionError, with the game, at the first difference."""
    played = a_random_game(seed)
    try:
        play(played)
        compare_end(played)
        compare_ledger(played)
    except AssertionError as difference:
        difference.add_note(f"seed {seed}: {played.reference.setting}, end at {played.reference.end_at}")
        raise
    return played
