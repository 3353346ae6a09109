"""What every puzzle type has to prove. Give each function of PROOFS a Subject: see docs/puzzles.md.

A Subject brings what the kit cannot know of a type: how a player solves it, and what somebody tries who does not
look.
"""

import copy
import json
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.puzzle.types.base import EASIEST, HARDEST, InvalidAnswer, Json, PuzzleType
from services.puzzle.types.draw import Draw

LEVELS = range(EASIEST, HARDEST + 1)
MAX_VIEW_BYTES = 4096
GUESSED_PUZZLES = 1_000
NEVER = 1e-7
"""An honest type shows a number of lucky guesses as unlikely as this once in ten million."""
TELLING_KEYS = {"answer", "correct", "correct_answer", "correct_index", "is_match", "solution", "seed"}

SEEDS = st.integers(min_value=0, max_value=2**63 - 1)
DIFFICULTIES = st.integers(min_value=EASIEST, max_value=HARDEST)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
OTHER_KINDS: tuple[object, ...] = (None, True, {}, "", "solved", "\ud800", math.nan, -1, [[]], 10**40)
for_any_puzzle = settings(max_examples=60, deadline=None, derandomize=True)


@dataclass(frozen=True)
class Guess:
    """A blind guess. It reads from the view only what it takes to give an answer of the right shape.

    `exact`: it is right as often as the type declares; otherwise at most as often.
    """

    name: str
    make: Callable[[Json, Draw], Json]
    exact: bool = True


@dataclass(frozen=True)
class Subject:
    """A type, and how to play it. Everything works from the view alone."""

    type: PuzzleType[Any]
    solve: Callable[[Json], Json]
    wrong: Callable[[Json], Iterator[Json]]
    """Answers of the right shape that are wrong, each in another way."""
    misfits: Callable[[Json], Iterator[Json]]
    """Answers of the wrong shape that are easily mistaken for good ones."""
    guesses: tuple[Guess, ...]


def prove_that_a_seed_gives_the_same_puzzle_for_ever(subject: Subject) -> None:
    @for_any_puzzle
    @given(SEEDS, DIFFICULTIES)
    def proof(seed: int, difficulty: int) -> None:
        assert subject.type.generate(seed, difficulty) == type(subject.type)().generate(seed, difficulty)

    proof()


def prove_that_seeds_and_difficulties_matter(subject: Subject) -> None:
    puzzle_type = subject.type
    for difficulty in LEVELS:
        views = {json.dumps(puzzle_type.generate(seed, difficulty).view) for seed in range(200)}
        assert len(views) > 40, "too few different puzzles"
    levels = [(puzzle_type.time_limit_ms(d), puzzle_type.guess_rate(d)) for d in LEVELS]
    assert len(set(levels)) == len(levels), "a difficulty that changes nothing"
    rates = [rate for _, rate in levels]
    assert rates == sorted(rates, reverse=True), "a harder puzzle is easier to guess"
    for bad in (EASIEST - 1, HARDEST + 1):
        with pytest.raises(ValueError, match="difficulty"):
            puzzle_type.generate(1, bad)


def prove_that_the_view_is_enough_to_solve_it(subject: Subject) -> None:
    @for_any_puzzle
    @given(SEEDS, DIFFICULTIES)
    def proof(seed: int, difficulty: int) -> None:
        puzzle = subject.type.generate(seed, difficulty)
        answer = subject.solve(copy.deepcopy(puzzle.view))
        assert subject.type.check(puzzle.view, puzzle.hidden, answer) is True
        assert len(json.dumps(answer)) <= subject.type.max_answer_bytes

    proof()


def prove_that_what_is_revealed_is_a_right_answer(subject: Subject) -> None:
    @for_any_puzzle
    @given(SEEDS, DIFFICULTIES)
    def proof(seed: int, difficulty: int) -> None:
        puzzle = subject.type.generate(seed, difficulty)
        revealed = subject.type.reveal(puzzle.view, puzzle.hidden)
        assert subject.type.check(puzzle.view, puzzle.hidden, revealed) is True

    proof()


def prove_that_wrong_answers_are_refused(subject: Subject) -> None:
    @for_any_puzzle
    @given(SEEDS, DIFFICULTIES)
    def proof(seed: int, difficulty: int) -> None:
        puzzle = subject.type.generate(seed, difficulty)
        answers = list(subject.wrong(puzzle.view))
        assert answers, "the subject knows no wrong answer"
        for answer in answers:
            assert subject.type.check(puzzle.view, puzzle.hidden, answer) is False, answer

    proof()


def prove_that_misshapen_answers_are_told_apart(subject: Subject) -> None:
    @for_any_puzzle
    @given(SEEDS, DIFFICULTIES)
    def proof(seed: int, difficulty: int) -> None:
        puzzle = subject.type.generate(seed, difficulty)
        right = subject.solve(puzzle.view)
        misshapen: list[object] = [*subject.misfits(puzzle.view), *OTHER_KINDS, {**right, "more": 1}, [right]]
        misshapen += [{**right, key: other} for key in right for other in OTHER_KINDS]
        for answer in misshapen:
            with pytest.raises(InvalidAnswer):
                subject.type.check(puzzle.view, puzzle.hidden, answer)

    proof()


def prove_that_no_json_breaks_the_check(subject: Subject) -> None:
    puzzle = subject.type.generate(1)
    keys = st.sampled_from(sorted(subject.solve(puzzle.view)))

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(JSON | st.dictionaries(keys, JSON) | st.dictionaries(keys, st.text() | st.integers(), min_size=1))
    def proof(answer: object) -> None:
        with suppress(InvalidAnswer):
            assert subject.type.check(puzzle.view, puzzle.hidden, answer) in (True, False)

    proof()


def prove_that_the_view_does_not_state_the_answer(subject: Subject) -> None:
    @for_any_puzzle
    @given(SEEDS, DIFFICULTIES)
    def proof(seed: int, difficulty: int) -> None:
        puzzle = subject.type.generate(seed, difficulty)
        hidden = list(nodes(puzzle.hidden))
        secret_keys = TELLING_KEYS | {key for key, _ in hidden if key}
        secret_values = [value for _, value in hidden if isinstance(value, list | dict)]
        for key, value in nodes(puzzle.view):
            assert key not in secret_keys, f"{key} is hidden, or tells by its name"
            assert value not in secret_values, f"{key} repeats what is hidden"
        assert len(json.dumps(puzzle.view).encode()) < MAX_VIEW_BYTES

    proof()


def prove_that_it_survives_storage(subject: Subject) -> None:
    @for_any_puzzle
    @given(SEEDS, DIFFICULTIES)
    def proof(seed: int, difficulty: int) -> None:
        puzzle = subject.type.generate(seed, difficulty)
        # As Postgres does it: jsonb does not keep the order of keys.
        view, hidden = (json.loads(json.dumps(part, sort_keys=True)) for part in (puzzle.view, puzzle.hidden))
        assert (view, hidden) == (puzzle.view, puzzle.hidden)
        assert subject.type.check(view, hidden, json.loads(json.dumps(subject.solve(view)))) is True
        assert (view, hidden) == (puzzle.view, puzzle.hidden), "checking changed the puzzle"

    proof()
    assert json.loads(json.dumps(subject.type.describe()))["name"] == subject.type.name


def prove_that_guessing_pays_as_declared(subject: Subject) -> None:
    assert subject.guesses, "the subject knows no blind guess"
    for difficulty in LEVELS:
        rate = subject.type.guess_rate(difficulty)
        puzzles = [subject.type.generate(seed, difficulty) for seed in range(GUESSED_PUZZLES)]
        for guess in subject.guesses:
            draw = Draw(f"{guess.name}/{difficulty}")
            right = sum(subject.type.check(dealt.view, dealt.hidden, guess.make(dealt.view, draw)) for dealt in puzzles)
            told = f"{guess.name}, difficulty {difficulty}: {right} of {len(puzzles)}, declared {rate:.4f}"
            assert chance(right, len(puzzles), rate, at_least=True) > NEVER, told
            if guess.exact:
                assert chance(right, len(puzzles), rate, at_least=False) > NEVER, told


PROOFS = tuple(value for name, value in list(globals().items()) if name.startswith("prove_"))
"""Each takes a Subject, and fails if the type does not hold what it promises."""


def nodes(part: object, key: str | None = None) -> Iterator[tuple[str | None, object]]:
    """Every value in a JSON document, with the key it stands under, if any."""
    yield key, part
    if isinstance(part, dict):
        for inner_key, inner in part.items():
            yield from nodes(inner, inner_key)
    elif isinstance(part, list):
        for inner in part:
            yield from nodes(inner)


def chance(hits: int, tries: int, rate: float, *, at_least: bool) -> float:
    """The binomial chance of that many hits or more (or: or fewer)."""
    which = range(hits, tries + 1) if at_least else range(hits + 1)
    return math.fsum(
        math.exp(
            math.lgamma(tries + 1)
            - math.lgamma(n + 1)
            - math.lgamma(tries - n + 1)
            + n * math.log(rate)
            + (tries - n) * math.log1p(-rate)
        )
        for n in which
    )


def golden_samples(puzzle_type: PuzzleType[Any]) -> list[Json]:
    """What is written to golden/<name>.json, and must come out of this version again for ever."""
    samples = []
    for difficulty in LEVELS:
        seed = 7919**difficulty * 1_000_003
        puzzle = puzzle_type.generate(seed, difficulty)
        sample = {"version": puzzle_type.version, "seed": seed, "difficulty": difficulty}
        samples.append({**sample, "view": puzzle.view, "hidden": puzzle.hidden})
    return samples
