import io

from hypothesis import given
from hypothesis import strategies as st

from baton.logs import LONGEST_LINE, RESET, LineSplitter, Printer, wants_colour


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_each_line_carries_its_process() -> None:
    out = io.StringIO()
    printer = Printer(out, colour=False)
    printer.line("puzzle", "one")
    printer.line("realtime", "two")
    assert out.getvalue() == "puzzle   | one\nrealtime | two\n"


def test_each_process_keeps_a_colour_of_its_own() -> None:
    out = io.StringIO()
    printer = Printer(out, colour=True)
    for name in ("a", "b", "a"):
        printer.line(name, "x")
    first, second, third = out.getvalue().splitlines()
    assert first == third
    assert first[:5] != second[:5]
    assert RESET in first


def test_a_headline_stands_alone() -> None:
    out = io.StringIO()
    Printer(out, colour=False).headline("ready")
    assert out.getvalue() == "\nready\n\n"


def test_colour_is_for_terminals_alone() -> None:
    assert wants_colour(Terminal(), {})
    assert not wants_colour(io.StringIO(), {})


def test_no_color_is_respected() -> None:
    assert not wants_colour(Terminal(), {"NO_COLOR": "1"})
    assert wants_colour(Terminal(), {"NO_COLOR": ""})


@given(st.binary(max_size=200), st.integers(1, 7))
def test_lines_are_the_same_however_the_stream_is_cut(data: bytes, size: int) -> None:
    splitter = LineSplitter()
    lines = [line for at in range(0, len(data), size) for line in splitter.feed(data[at : at + size])] + splitter.end()
    expected = [line.decode(errors="replace").rstrip("\r") for line in data.split(b"\n")]
    assert lines == (expected[:-1] if data.endswith(b"\n") or not data else expected)


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    splitter = LineSplitter()
    lines = splitter.feed(b"x" * (2 * LONGEST_LINE + 1))
    assert [len(line) for line in lines] == [LONGEST_LINE, LONGEST_LINE]
    assert splitter.end() == ["x"]
