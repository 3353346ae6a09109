import re

from baton.plan import ROOT


def test_the_example_names_every_setting_that_a_process_reads() -> None:
    sources = [file for top in ("services", "worker") for file in (ROOT / top).rglob("settings.py")]
    assert len(sources) == 5
    read = {name for file in sources for name in re.findall(r'validation_alias="([A-Z_]+)"', file.read_text())}
    assert len(read) > 15
    shown = set(re.findall(r"^(?:# )?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert read <= shown
