import sys

import pytest

from services.__main__ import main


def test_a_service_that_there_is_not_is_refused_and_the_others_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["services", "worker"])
    with pytest.raises(SystemExit) as refused:
        main()
    assert refused.value.code == 2
    said = capsys.readouterr().err
    assert all(name in said for name in ("puzzle", "points", "realtime"))
