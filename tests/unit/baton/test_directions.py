"""The contracts on the direction of imports do refuse what they are there to refuse."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from baton.plan import ROOT

TREES = ("contracts", "services", "worker", "baton")
BREACHES = {
    "services/realtime/breach.py": "import services.puzzle.domain",
    "services/kit/breach.py": "import services.points.settings",
    "contracts/breach.py": "import services.kit.clock",
    "worker/breach.py": "import services.points.repository",
    "baton/breach.py": "import services.points.service",
    "services/puzzle/types/breach.py": "import sqlalchemy",
    "services/points/routers/breach.py": "import services.points.main",
    "services/realtime/main.py": "import services.kit.database",
    "services/realtime/hub.py": "import redis",
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for tree in TREES:
        shutil.copytree(ROOT / tree, tmp_path / tree, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def lint(folder: Path) -> tuple[int, str]:
    program = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([program, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout


def test_each_contract_refuses_its_breach(copy: Path) -> None:
    for name, line in BREACHES.items():
        with (copy / name).open("a") as file:
            file.write(f"\n{line}\n")
    code, output = lint(copy)
    assert code == 1
    assert re.search(rf"Contracts: 0 kept, {len(BREACHES)} broken", output), output


def test_a_new_file_of_a_service_has_to_be_given_its_place(copy: Path) -> None:
    (copy / "services" / "points" / "surprise.py").touch()
    code, output = lint(copy)
    assert code == 1
    assert "services.points.surprise" in output
