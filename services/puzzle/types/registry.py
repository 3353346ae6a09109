"""The installed puzzle types: the built-in ones, and those of other packages under the entry point group."""

import re
from collections.abc import Iterable, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from services.puzzle.types.base import PuzzleType
from services.puzzle.types.concentration import Concentration
from services.puzzle.types.draw import Draw
from services.puzzle.types.memory import Memory
from services.puzzle.types.multitasking import Multitasking
from services.puzzle.types.spatial import Spatial

ENTRY_POINT_GROUP = "baton.puzzle_types"

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


class UnknownPuzzleTypeError(LookupError):
    """No type of this name is installed."""


class BadPuzzleTypeError(Exception):
    """An installed type cannot be used; the text names it and says why."""


class Registry:
    """Puzzle types by name. Nothing changes after it was made, so it may be shared."""

    def __init__(self, types: Iterable[PuzzleType[Any]]) -> None:
        """Raises BadPuzzleTypeError if two types have one name, or one has no proper name or version."""
        by_name: dict[str, PuzzleType[Any]] = {}
        for puzzle_type in types:
            name, version = getattr(puzzle_type, "name", None), getattr(puzzle_type, "version", None)
            where = f"{type(puzzle_type).__module__}.{type(puzzle_type).__qualname__}"
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise BadPuzzleTypeError(f"{where}: the name must match {_NAME.pattern}, not be {name!r}")
            if not isinstance(version, int) or version < 1:
                raise BadPuzzleTypeError(f"{where}: the version must be 1 or more, not {version!r}")
            if name in by_name:
                other = type(by_name[name])
                raise BadPuzzleTypeError(f"{where}: {name!r} is taken by {other.__module__}.{other.__qualname__}")
            by_name[name] = puzzle_type
        self._types = dict(sorted(by_name.items()))

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(self._types)

    def get(self, name: str) -> PuzzleType[Any]:
        """Raises UnknownPuzzleTypeError."""
        try:
            return self._types[name]
        except KeyError:
            raise UnknownPuzzleTypeError(f"no puzzle type {name!r}; there are {', '.join(self._types)}") from None

    def choose(self, names: Sequence[str], seed: int) -> PuzzleType[Any]:
        """One of these types, each as likely; which, depends on the *set* of names and the seed alone.

        Raises UnknownPuzzleTypeError, and ValueError if there is nothing to choose from.
        """
        types = [self.get(name) for name in sorted(set(names))]
        return Draw(f"choose/{seed}").pick(types)


def installed(found: Iterable[EntryPoint] | None = None) -> Registry:
    """The built-in types and those found: by default, those that installed packages declare.

    An entry point names a subclass of PuzzleType that needs no arguments. Raises BadPuzzleTypeError, so that a broken
    plug-in stops the start instead of a game.
    """
    found = entry_points(group=ENTRY_POINT_GROUP) if found is None else found
    return Registry([Memory(), Spatial(), Concentration(), Multitasking(), *map(_load, found)])


def _load(entry_point: EntryPoint) -> PuzzleType[Any]:
    try:
        made = entry_point.load()()
    except Exception as error:
        # Whatever the import of foreign code throws, the operator has to learn whose it was.
        raise BadPuzzleTypeError(f"entry point {entry_point.name} = {entry_point.value}: {error!r}") from error
    if not isinstance(made, PuzzleType):
        raise BadPuzzleTypeError(f"entry point {entry_point.name} = {entry_point.value}: not a PuzzleType")
    return made
