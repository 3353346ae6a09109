"""Where `baton replay` finds the database."""

from pathlib import Path
from uuid import uuid4

import pytest

from baton.replay import EXIT_CONFIGURATION, replay, running_database
from baton.servers import Postgres


def test_the_database_of_make_up_is_found_while_it_runs(postgres: Postgres, server_folder: Path) -> None:
    assert running_database(server_folder) == postgres.url


def test_without_a_database_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert replay(uuid4(), tmp_path) == EXIT_CONFIGURATION
    assert "DATABASE_URL" in capsys.readouterr().err
