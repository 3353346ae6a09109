import re
from pathlib import Path

from services.realtime.close_codes import Close

PROTOCOL = Path(__file__).parents[3] / "docs" / "protocol.md"


def test_the_documented_table_is_the_one_in_use() -> None:
    rows = re.findall(r"^\| (\d{4}) \| `(\w+)` \| (.*) \|$", PROTOCOL.read_text(), re.MULTILINE)
    assert {(int(code), reason) for code, reason, _ in rows} == {(close.code, close.reason) for close in Close}
    for code, _, advice in rows:
        close = next(close for close in Close if close.code == int(code))
        assert close.come_back == advice.startswith("come back"), code


def test_codes_and_reasons_are_unique_and_fit_into_a_close_frame() -> None:
    assert len({close.code for close in Close}) == len({close.reason for close in Close}) == len(Close)
    assert all(len(close.reason.encode()) <= 123 for close in Close)
