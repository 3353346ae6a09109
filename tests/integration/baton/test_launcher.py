import io
from pathlib import Path

from baton.launcher import wipe
from baton.logs import Printer
from baton.secrets_file import local_secrets


def test_a_fresh_start_forgets_what_baton_kept_and_nothing_else(server_folder: Path) -> None:
    folder = server_folder / "wiped"
    (folder / "postgres" / "data").mkdir(parents=True)
    (folder / "valkey").mkdir()
    (folder / "beat-schedule.db").touch()
    (folder / "letters").touch()
    local_secrets(folder)
    out = io.StringIO()
    wipe(folder, Printer(out, colour=False))
    assert [path.name for path in folder.iterdir()] == ["letters"]
    assert "was forgotten" in out.getvalue()
