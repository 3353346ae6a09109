"""Values to and from Postgres in its binary formats.

psycopg reads results as text unless it is told otherwise: twice the bytes for a `bytea`, and digits that one side has
to make and the other to read. And it packs lists in Python, one element after the other: those of numbers and of ids,
which statements have most of, are left to C here.
"""

from collections.abc import Callable, Iterable
from itertools import repeat
from operator import attrgetter, or_
from struct import Struct
from typing import Any, ClassVar
from uuid import UUID

from psycopg import AsyncConnection, AsyncCursor
from psycopg.abc import DumperKey
from psycopg.adapt import Dumper, PyFormat
from psycopg.postgres import types
from psycopg.pq import Format
from psycopg.types.array import ListBinaryDumper, ListDumper

_HEAD = Struct(">iiIii").pack
_LENGTH = Struct(">i").pack
_INTEGER = Struct(">iq").pack
_NULL = _LENGTH(-1)
_MAYBE_NULLS = 1
_LENGTH_OF_UUID = 16 << 128
_number = attrgetter("int")


def _integers(items: Iterable[int]) -> Iterable[bytes]:
    return map(_INTEGER, repeat(8), items)


def _uuids(items: Iterable[UUID]) -> Iterable[bytes]:
    return map(int.to_bytes, map(or_, map(_number, items), repeat(_LENGTH_OF_UUID)), repeat(20))


class _Packed(Dumper):
    """A list in which all that is not None is of one kind."""

    format = Format.BINARY
    element: ClassVar[int]
    pack: ClassVar[Callable[[list[Any]], Iterable[bytes]]]
    """Elements, each with its length before it."""

    def dump(self, obj: list[Any]) -> bytes:
        pack = type(self).pack
        if type(None) in set(map(type, obj)):
            packed = iter(pack([item for item in obj if item is not None]))
            elements: Iterable[bytes] = [_NULL if item is None else next(packed) for item in obj]
        else:
            elements = pack(obj)
        return b"".join((_HEAD(1, _MAYBE_NULLS, self.element, len(obj), 1), *elements))


def _packed(name: str, pack: Callable[[list[Any]], Iterable[bytes]]) -> type[_Packed]:
    parts = {"oid": types[name].array_oid, "element": types[name].oid, "pack": staticmethod(pack)}
    return type(f"_Packed_{name}", (_Packed,), parts)


_PACKED = {int: _packed("int8", _integers), UUID: _packed("uuid", _uuids)}


class _Lists(ListBinaryDumper):
    """Lists of numbers and of ids are packed, all others are left to psycopg."""

    def get_key(self, obj: list[Any], format: PyFormat) -> DumperKey:  # noqa: A002 (psycopg's name)
        return _dumper_for(obj) or super().get_key(obj, format)

    def upgrade(self, obj: list[Any], format: PyFormat) -> Any:  # noqa: A002 (likewise)
        found = _dumper_for(obj)
        return super().upgrade(obj, format) if found is None else found(list, self._tx)


def _dumper_for(items: list[Any]) -> type[Dumper] | None:
    kinds = set(map(type, items))
    kinds.discard(type(None))
    if not kinds:
        return ListDumper  # of a kind that the statement has to tell
    return _PACKED.get(kinds.pop()) if len(kinds) == 1 else None


class _BinaryCursor(AsyncCursor[Any]):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.format = Format.BINARY


def speak_binary(connection: AsyncConnection[Any]) -> None:
    """Have a connection read all results and send all lists in binary."""
    connection.cursor_factory = _BinaryCursor
    connection.adapters.register_dumper(list, _Lists)
