"""SQL that stores turns: closed puzzles, dealt ones and the counters of their sessions, in one statement."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import text

from services.kit.database import Transaction
from services.puzzle.domain import Closing, Turn

_CLOSINGS = {"puzzle_id": "uuid", "status": "text", "closed_at": "bigint", "answer": "text"}
_SESSIONS = {"session_id": "uuid", "version": "bigint", "last_at": "bigint", "dealt": "bigint"}
_DEALT = {
    "puzzle_id": "uuid",
    "session_id": "uuid",
    "player_id": "uuid",
    "type": "text",
    "type_version": "smallint",
    "difficulty": "smallint",
    "seed": "bigint",
    "view": "text",
    "hidden": "text",
    "status": "text",
    "opened_at": "bigint",
    "deadline": "bigint",
}
_JSON = ("view", "hidden")


def _rows(name: str, columns: dict[str, str]) -> str:
    """Rows from one array a column."""
    arrays = ", ".join(f"CAST(:{name}_{column} AS {kind}[])" for column, kind in columns.items())
    return f"unnest({arrays}) AS {name} ({', '.join(columns)})"


_DEALT_VALUES = ", ".join(f"dealt.{name}{'::jsonb' if name in _JSON else ''}" for name in _DEALT)
# What is dealt in the place of a puzzle is joined to what `closing` returns, so it comes after that, and the index of
# open puzzles never sees two.
_TURNS = text(
    f"""
    WITH closing AS (
        UPDATE puzzle.puzzles AS puzzle SET
            status = closed.status, closed_at = closed.closed_at, answer = closed.answer::jsonb
        FROM {_rows("closed", _CLOSINGS)} WHERE puzzle.puzzle_id = closed.puzzle_id
        RETURNING puzzle.puzzle_id
    ), dealing AS (
        INSERT INTO puzzle.puzzles ({", ".join(_DEALT)})
        SELECT {_DEALT_VALUES}
        FROM {_rows("dealt", {**_DEALT, "closes": "uuid"})} LEFT JOIN closing ON closing.puzzle_id = dealt.closes
        WHERE dealt.closes IS NULL OR closing.puzzle_id IS NOT NULL
    )
    UPDATE puzzle.sessions AS session SET
        version = counted.version, last_at = counted.last_at, dealt = counted.dealt
    FROM {_rows("counted", _SESSIONS)} WHERE session.session_id = counted.session_id
    """  # noqa: S608 (our own names)
)


async def keep_turns(transaction: Transaction, turns: Sequence[Turn]) -> None:
    """Close the puzzles of turns, open the next ones, and store the counters of the sessions, which are locked."""
    sessions = {turn.session.session_id: turn.session for turn in turns}  # as the last turn left them
    closings = [turn.closing for turn in turns if turn.closing is not None]
    parameters = {
        **_arrays("counted", _SESSIONS, [tuple(getattr(s, name) for name in _SESSIONS) for s in sessions.values()]),
        **_arrays(
            "closed",
            _CLOSINGS,
            [(c.closed.puzzle_id, c.closed.verdict.value, c.closed.closed_at, _answer(c)) for c in closings],
        ),
        **_arrays("dealt", (*_DEALT, "closes"), [_dealt_values(turn) for turn in turns]),
    }
    await transaction.connection.execute(_TURNS, parameters)


def _dealt_values(turn: Turn) -> tuple[Any, ...]:
    closes = None if turn.closing is None else turn.closing.closed.puzzle_id
    values = ((name, getattr(turn.dealt, name)) for name in _DEALT)
    return (*(_json(value) if name in _JSON else value for name, value in values), closes)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _answer(closing: Closing) -> str | None:
    return None if closing.answer is None else json.dumps(closing.answer)  # with integers of any size


def _arrays(name: str, columns: Sequence[str] | dict[str, str], rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    values = map(list, zip(*rows, strict=True)) if rows else ([] for _ in columns)
    return {f"{name}_{column}": array for column, array in zip(columns, values, strict=True)}
