"""What docs/puzzles.md says to those who write clients and types of their own."""

import importlib
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.puzzle.types.base import HARDEST, Json
from services.puzzle.types.gates import Gate
from services.puzzle.types.registry import installed
from tests.unit.puzzle.types.kit import LEVELS, PROOFS

DOCS = (Path(__file__).parents[4] / "docs" / "puzzles.md").read_text()


def test_the_example_type_holds_what_the_kit_proves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    assert len(code) == 2
    (tmp_path / "documented_type.py").write_text("\n".join(code))
    monkeypatch.syspath_prepend(str(tmp_path))
    subject = importlib.import_module("documented_type").SUBJECT
    for prove in PROOFS:
        prove(subject)


@pytest.mark.parametrize("name", installed(()).names())
def test_the_tables_say_what_the_types_do(name: str) -> None:
    puzzle_type = installed(()).get(name)
    (row,) = (line for line in DOCS.splitlines() if line.startswith(f"| {name}: chance of a blind guess"))
    told = [float(cell.strip(" *")) for cell in row.strip("|").split("|")[1:]]
    assert told == pytest.approx([puzzle_type.guess_rate(level) for level in LEVELS], rel=0.03)
    # The example's keys are those of a real view.
    section = DOCS.split(f"## {name}:")[1]
    (example,) = re.findall(r"```json\n(.*?)```", section.split("\n## ")[0], re.DOTALL)
    assert set(json.loads(example.replace(", …", ""))) == set(puzzle_type.generate(1).view)


def is_clear(gate: Gate, before: tuple[int, int, int], after: tuple[int, int, int], half: int) -> bool:
    """The same as `isClear` in the documentation."""
    (t0, x0, y0), (t1, x1, y1) = before, after
    for t in range(t0, t1 + 1, 5):
        part = (t - t0) / (t1 - t0)
        x, y = x0 + (x1 - x0) * part, y0 + (y1 - y0) * part
        if gate.x - half - 2 <= x <= gate.x + gate.width + half + 2:
            u = (t + gate.phase_ms) % (2 * gate.half_period_ms)
            upper = gate.speed * min(u, 2 * gate.half_period_ms - u) / 1000
            if y - half < upper + 3 or y + half > upper + gate.gap - 3:
                return False
    return True


@settings(max_examples=500, deadline=None, derandomize=True)
@given(
    st.integers(0, 100),
    st.integers(0, 20_000),
    st.integers(-28, 28),
    st.integers(-28, 28),
    st.integers(-70, 70),
    st.integers(-3, 12),
    st.booleans(),
)
def test_the_documented_client_never_passes_what_the_server_refuses(
    seed: int, t: int, dx: int, dy: int, beside: int, clearance: int, above: bool
) -> None:
    # Moves of 50 ms (so 40 units at most) that begin near the wall, and near one of the gap's edges.
    view: Json = installed(()).get("spatial").generate(seed, HARDEST).view
    gate, half = Gate(**view["gates"][0]), view["half_size"]
    u = (t + gate.phase_ms) % (2 * gate.half_period_ms)
    upper = gate.speed * min(u, 2 * gate.half_period_ms - u) // 1000
    y = upper + half + clearance if above else upper + gate.gap - half - clearance
    before = (t, gate.x + gate.width // 2 + beside, y)
    after = (t + 50, before[1] + dx, before[2] + dy)
    if is_clear(gate, before, after, half):
        assert not gate.touches(before, after, half)
