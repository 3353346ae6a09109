"""The rules of dealing and answering."""

from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from contracts.ids import PlayerId, PuzzleId, SessionId, TeamId
from contracts.puzzles import Verdict
from services.puzzle import domain
from services.puzzle.domain import Puzzle, PuzzleStatus, Refusal, Session, Status
from services.puzzle.types.registry import installed

SESSION = Session(
    session_id=SessionId(UUID(int=1)),
    team_id=TeamId(UUID(int=2)),
    status=Status.ACTIVE,
    puzzle_types=["concentration", "memory", "multitasking", "spatial"],
    difficulty=2,
    seed=1234,
    points_version=2,
    version=0,
    last_at=1_000,
    dealt=0,
)
PUZZLE = Puzzle(
    puzzle_id=PuzzleId(UUID(int=3)),
    session_id=SESSION.session_id,
    player_id=PlayerId(UUID(int=4)),
    type="memory",
    type_version=1,
    difficulty=2,
    seed=5,
    view={},
    hidden={"colour": "red"},
    status=PuzzleStatus.OPEN,
    opened_at=1_000,
    deadline=2_000,
)


@pytest.mark.parametrize(("now", "at"), [(999, 1_000), (1_000, 1_000), (1_001, 1_001)])
def test_an_instant_never_goes_back(now: int, at: int) -> None:
    assert domain.instant(SESSION, now) == at


@pytest.mark.parametrize(
    ("status", "puzzle_status", "eliminated_at", "at", "refusal"),
    [
        (Status.ACTIVE, PuzzleStatus.OPEN, None, 1_999, None),
        (Status.ACTIVE, PuzzleStatus.OPEN, None, 2_000, Refusal.PUZZLE_EXPIRED),
        (Status.ACTIVE, PuzzleStatus.OPEN, 1_500, 1_999, Refusal.PLAYER_ELIMINATED),
        (Status.ACTIVE, PuzzleStatus.SOLVED, None, 1_999, Refusal.PUZZLE_CLOSED),
        (Status.ACTIVE, PuzzleStatus.FAILED, None, 2_000, Refusal.PUZZLE_CLOSED),
        (Status.ACTIVE, PuzzleStatus.EXPIRED, None, 2_000, Refusal.PUZZLE_CLOSED),
        (Status.ACTIVE, PuzzleStatus.WITHDRAWN, None, 1_999, Refusal.PUZZLE_CLOSED),
        (Status.COUNTDOWN, PuzzleStatus.OPEN, None, 1_999, Refusal.SESSION_NOT_ACTIVE),
        (Status.FINISHED, PuzzleStatus.WITHDRAWN, 1_500, 2_000, Refusal.SESSION_NOT_ACTIVE),
    ],
)
def test_an_answer_is_taken_only_from_who_plays_to_what_is_open_before_the_deadline(
    status: Status, puzzle_status: PuzzleStatus, eliminated_at: int | None, at: int, refusal: Refusal | None
) -> None:
    session, puzzle = replace(SESSION, status=status), replace(PUZZLE, status=puzzle_status)
    assert domain.may_answer(session, puzzle, eliminated_at, at) is refusal


def test_a_puzzle_expires_at_its_deadline_however_late_that_is_noticed() -> None:
    expired = domain.close(PUZZLE, Verdict.EXPIRED, {"colour": "red"}, 9_999)
    assert expired.closed.closed_at == 2_000
    solved = domain.close(PUZZLE, Verdict.SOLVED, {"colour": "red"}, 1_500, {"colour": "red"})
    assert (solved.closed.closed_at, solved.answer) == (1_500, {"colour": "red"})


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 10_000))
def test_seeds_are_63_bits_that_follow_from_the_secret_the_session_and_the_number(seed: int, dealt: int) -> None:
    session = replace(SESSION, seed=seed, dealt=dealt)
    one = domain.next_seed(session)
    assert 0 <= one < 2**63
    assert domain.next_seed(session) == one
    others = [
        replace(session, dealt=dealt + 1),
        replace(session, seed=seed ^ 1),
        replace(session, session_id=SessionId(UUID(int=99))),
    ]
    assert all(domain.next_seed(other) != one for other in others)


def test_the_types_in_play_come_equally_often() -> None:
    types = installed()
    seeds = (domain.next_seed(replace(SESSION, dealt=number)) for number in range(4_000))
    chosen = Counter(types.choose(SESSION.puzzle_types, seed).name for seed in seeds)
    # Four standard deviations of a fair draw.
    assert all(abs(count - 1_000) < 110 for count in chosen.values())
    assert len(chosen) == 4


deep: dict[str, Any] = {}
for _ in range(5_000):
    deep = {"deeper": deep}


@pytest.mark.parametrize(
    "answer",
    [
        {"a": "\0"},
        {"\0": 1},
        {"a": ["x", {"b": "half \ud800"}]},
        {"\udfff": 1},
        {"a": float("nan")},
        {"a": [float("-inf")]},
        {"deep": deep},
        {"list": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]},
    ],
    ids=lambda answer: next(iter(answer)).encode("ascii", "backslashreplace").decode(),
)
def test_what_no_database_takes_is_found(answer: dict[str, Any]) -> None:
    assert domain.cannot_be_stored(answer)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcé🙂", max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text("abcé🙂", max_size=3), json_values, max_size=3))
def test_everything_else_is_let_through(answer: dict[str, Any]) -> None:
    assert domain.cannot_be_stored(answer) is None
