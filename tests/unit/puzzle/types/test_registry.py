from importlib.metadata import EntryPoint
from pathlib import Path
from typing import ClassVar

import pytest

from services.puzzle.types.memory import Memory
from services.puzzle.types.registry import (
    ENTRY_POINT_GROUP,
    BadPuzzleTypeError,
    Registry,
    UnknownPuzzleTypeError,
    installed,
)

BUILT_IN = ("concentration", "memory", "multitasking", "spatial")


class Rhyme(Memory):
    name = "rhyme"


class BadName(Memory):
    name = "Rhyme Time"


class BadVersion(Memory):
    name = "rhyme"
    version = 0


class Nameless(Rhyme):
    name: ClassVar[str] = None  # type: ignore[assignment]  # a careless author's


class WantsArguments(Rhyme):
    def __init__(self, dictionary: str) -> None:
        self.dictionary = dictionary


def point(value: str) -> EntryPoint:
    return EntryPoint(name="foreign", value=value, group=ENTRY_POINT_GROUP)


def test_the_built_in_types_are_there_in_a_stable_order() -> None:
    registry = installed(())
    assert registry.names() == BUILT_IN
    assert [registry.get(name).name for name in BUILT_IN] == list(BUILT_IN)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownPuzzleTypeError, match="no puzzle type 'chess'; there are concentration, memory"):
        installed(()).get("chess")


def test_a_type_of_an_installed_package_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "baton_rhyme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: baton-rhyme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\nrhyme = {__name__}:Rhyme\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = installed()
    assert registry.names() == ("concentration", "memory", "multitasking", "rhyme", "spatial")
    assert isinstance(registry.get("rhyme"), Rhyme)


def test_two_types_of_one_name_are_refused_naming_both() -> None:
    with pytest.raises(BadPuzzleTypeError, match=r"Rhyme: 'rhyme' is taken by .*Rhyme"):
        Registry([Rhyme(), Rhyme()])
    with pytest.raises(BadPuzzleTypeError, match=r"'memory' is taken by services.puzzle.types.memory.Memory"):
        installed([point("services.puzzle.types.memory:Memory")])


@pytest.mark.parametrize(
    ("bad", "why"), [(BadName(), "name must match"), (Nameless(), "name must match"), (BadVersion(), "version")]
)
def test_a_type_without_a_proper_name_or_version_is_refused(bad: Memory, why: str) -> None:
    with pytest.raises(BadPuzzleTypeError, match=why):
        Registry([bad])


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("no_such_module:Rhyme", "no_such_module"),
        ("services.puzzle.types.memory:NoSuchName", "NoSuchName"),
        (f"{__name__}:WantsArguments", "dictionary"),
        ("collections:OrderedDict", "not a PuzzleType"),
        ("collections:abc", "not callable"),
    ],
)
def test_a_broken_plug_in_stops_the_start_and_is_named(value: str, why: str) -> None:
    with pytest.raises(BadPuzzleTypeError, match=f"entry point foreign = {value}.*{why}"):
        installed([point(value)])


def test_types_are_chosen_evenly_by_the_seed() -> None:
    registry = installed(())
    chosen = [registry.choose(BUILT_IN, seed).name for seed in range(4_000)]
    # Five standard deviations of a binomial count with n = 4000 and p = 1/4.
    assert all(abs(chosen.count(name) - 1_000) < 137 for name in BUILT_IN)
    assert chosen[:6] == ["memory", "spatial", "memory", "multitasking", "spatial", "memory"]


def test_the_choice_depends_on_the_set_of_names_alone() -> None:
    registry = installed(())
    for seed in range(50):
        once = registry.choose(["memory", "spatial"], seed).name
        assert once == registry.choose(["spatial", "memory", "spatial"], seed).name
        assert once in {"memory", "spatial"}


def test_there_must_be_known_names_to_choose_from() -> None:
    with pytest.raises(ValueError, match="nothing"):
        installed(()).choose([], 1)
    with pytest.raises(UnknownPuzzleTypeError):
        installed(()).choose(["memory", "chess"], 1)
