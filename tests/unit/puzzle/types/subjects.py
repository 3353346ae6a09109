"""The built-in types as subjects of the kit, each with its own wrong answers, misfits and blind guesses."""

from collections.abc import Callable, Iterator

from baton.demo.solvers import SOLVERS, WRONG_ANSWERS
from services.puzzle.types.base import Json
from services.puzzle.types.concentration import Concentration
from services.puzzle.types.draw import Draw
from services.puzzle.types.memory import Memory
from services.puzzle.types.multitasking import Multitasking
from services.puzzle.types.spatial import Spatial
from tests.unit.puzzle.types.kit import Guess, Subject


def wrong_colours(view: Json) -> Iterator[Json]:
    right = SOLVERS["memory"](view)["colour"]
    yield WRONG_ANSWERS["memory"](view)
    yield from ({"colour": colour} for colour in view["choices"] if colour != right)


def colours_not_to_choose(view: Json) -> Iterator[Json]:
    yield {"colour": "mauve"}
    yield {"colour": view["choices"][0].upper()}
    yield {"colour": 1}


MEMORY = Subject(
    Memory(),
    SOLVERS["memory"],
    wrong_colours,
    colours_not_to_choose,
    (
        Guess("any choice", lambda view, draw: {"colour": draw.pick(view["choices"])}),
        Guess("first choice", lambda view, draw: {"colour": view["choices"][0]}),
        Guess("second choice", lambda view, draw: {"colour": view["choices"][1]}),
        Guess("last choice", lambda view, draw: {"colour": view["choices"][-1]}),
        Guess("choice at the number", lambda view, draw: {"colour": view["choices"][view["question"] - 1]}),
    ),
)


def wrong_indices(view: Json) -> Iterator[Json]:
    right = SOLVERS["concentration"](view)["index"]
    yield WRONG_ANSWERS["concentration"](view)
    yield from ({"index": index} for index in range(10) if index != right)


def indices_that_are_none(view: Json) -> Iterator[Json]:
    yield from ({"index": bad} for bad in (-1, 10, "3", 3.5, [3], 10**40))


def always(answer: Json) -> Callable[[Json, Draw], Json]:
    return lambda view, draw: answer


CONCENTRATION = Subject(
    Concentration(),
    SOLVERS["concentration"],
    wrong_indices,
    indices_that_are_none,
    (
        Guess("any pair", lambda view, draw: {"index": draw.below(10)}),
        *(Guess(f"pair {index}", always({"index": index})) for index in range(10)),
    ),
)


def wrong_columns(view: Json) -> Iterator[Json]:
    right = SOLVERS["multitasking"](view)["columns"]
    yield WRONG_ANSWERS["multitasking"](view)
    for row in range(len(right)):
        for column in range(9):
            if column != right[row]:
                yield {"columns": [*right[:row], column, *right[row + 1 :]]}


def columns_that_are_none(view: Json) -> Iterator[Json]:
    right = SOLVERS["multitasking"](view)["columns"]
    yield {"columns": right[:-1]}
    yield {"columns": [*right, 0]}
    yield {"columns": []}
    yield {"columns": ",".join(map(str, right))}
    yield from ({"columns": [bad, *right[1:]]} for bad in (-1, 9, "4", True, None))


def same_column(column: int) -> Callable[[Json, Draw], Json]:
    return lambda view, draw: {"columns": [column] * len(view["rows"])}


MULTITASKING = Subject(
    Multitasking(),
    SOLVERS["multitasking"],
    wrong_columns,
    columns_that_are_none,
    (
        Guess("any columns", lambda view, draw: {"columns": [draw.below(9) for _ in view["rows"]]}),
        *(Guess(f"column {column}", same_column(column)) for column in range(9)),
    ),
)


def wrong_traces(view: Json) -> Iterator[Json]:
    trace = SOLVERS["spatial"](view)["trace"]
    late, limit = trace[-1], view["time_limit_ms"]
    yield WRONG_ANSWERS["spatial"](view)
    yield {"trace": trace[1:]}
    yield {"trace": trace[:-1]}
    yield {"trace": [[0, trace[0][1] + 1, trace[0][2]], *trace[1:]]}
    yield {"trace": [[t + 1, x, y] for t, x, y in trace]}
    yield {"trace": [*trace, late]}
    yield {"trace": [*trace, [late[0] - 1, *late[1:]]]}
    yield {"trace": [trace[0], [1, *late[1:]]]}
    yield {"trace": [*trace, [limit + 1, *late[1:]]]}
    yield {"trace": [*trace, [late[0] + 5_000, view["field"]["width"], late[2]]]}


def traces_that_are_none(view: Json) -> Iterator[Json]:
    trace = SOLVERS["spatial"](view)["trace"]
    yield {"trace": []}
    yield {"trace": trace[:1]}
    yield {"trace": [trace[0]] * (view["max_points"] + 1)}
    yield {"trace": "solved"}
    yield {"trace": [{"t": t, "x": x, "y": y} for t, x, y in trace]}
    bad_points: list[object] = [[0, 50], [0, 50, 1, 1], [0, 50.5, 1], [-1, 50, 1], None]
    yield from ({"trace": [bad, *trace[1:]]} for bad in bad_points)


def along(view: Json, height: int, delay: int, pace: int) -> Json:
    """Straight across at one height, without looking at the gates."""
    start, goal = view["start"], view["goal"]
    reach = 1000 * view["field"]["height"] // view["speed_limit"]
    x, y = goal["x"] + goal["width"] // 2, goal["y"] + goal["height"] // 2
    there, across = reach + delay, reach + delay + (1000 * (x - start["x"]) // pace + 1)
    trace = [[0, start["x"], start["y"]], [reach, start["x"], height]]
    trace += [[there, start["x"], height]] if delay else []
    return {"trace": [*trace, [across, x, height], [across + reach, x, y]]}


def straight(view: Json, delay: int, pace: int) -> Json:
    start, goal = view["start"], view["goal"]
    x, y = goal["x"] + goal["width"] // 2, goal["y"] + goal["height"] // 2
    wait = [[delay, start["x"], start["y"]]] if delay else []
    # |dx| + |dy| is never less than the distance, so this keeps the speed limit.
    way = x - start["x"] + abs(y - start["y"])
    return {"trace": [[0, start["x"], start["y"]], *wait, [delay + 1000 * way // pace + 1, x, y]]}


def at_some_time(draw: Draw) -> tuple[int, int]:
    """A delay, and a pace."""
    return draw.below(5_000), draw.between(200, 800)


SPATIAL = Subject(
    Spatial(),
    SOLVERS["spatial"],
    wrong_traces,
    traces_that_are_none,
    (
        Guess("straight at once", lambda view, draw: straight(view, 0, 800), exact=False),
        Guess("straight some time", lambda view, draw: straight(view, *at_some_time(draw)), exact=False),
        Guess("middle at once", lambda view, draw: along(view, 300, 0, 800), exact=False),
        Guess("middle some time", lambda view, draw: along(view, 300, *at_some_time(draw)), exact=False),
        Guess("along the top", lambda view, draw: along(view, 20, 0, 800), exact=False),
    ),
)

SUBJECTS = {subject.type.name: subject for subject in (MEMORY, SPATIAL, CONCENTRATION, MULTITASKING)}
