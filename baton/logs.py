"""One prefix and colour a line, so that five logs can be read as one."""

import os
from collections.abc import Iterator, Mapping
from itertools import cycle
from typing import TextIO

RESET = "\x1b[0m"
BOLD = "\x1b[1m"
COLOURS = ("\x1b[36m", "\x1b[32m", "\x1b[35m", "\x1b[33m", "\x1b[34m", "\x1b[96m", "\x1b[92m")
LONGEST_LINE = 16_384


def wants_colour(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Only people at a terminal want colours, and not those who set NO_COLOR (see no-color.org)."""
    return not environment.get("NO_COLOR") and environment.get("TERM") != "dumb" and stream.isatty()


class Printer:
    """Writes lines to `stream`, each behind the name of its process."""

    def __init__(self, stream: TextIO, *, colour: bool, width: int = 8) -> None:
        self._stream = stream
        self._colour = colour
        self._width = width
        self._palette: Iterator[str] = cycle(COLOURS)
        self._colours: dict[str, str] = {}

    def line(self, name: str, text: str) -> None:
        """Write one line of the process `name` at once."""
        self._stream.write(f"{self._prefix(name)} {text}\n")
        self._stream.flush()

    def headline(self, text: str) -> None:
        """Write a line that must not be overlooked, with no prefix."""
        self._stream.write(f"\n{BOLD}{text}{RESET}\n\n" if self._colour else f"\n{text}\n\n")
        self._stream.flush()

    def _prefix(self, name: str) -> str:
        label = f"{name:<{self._width}} |"
        if not self._colour:
            return label
        if name not in self._colours:
            self._colours[name] = next(self._palette)
        return f"{self._colours[name]}{label}{RESET}"


class LineSplitter:
    """Cuts a stream of bytes into lines; a line longer than LONGEST_LINE is cut into several."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > LONGEST_LINE:
            lines.append(self._rest[:LONGEST_LINE])
            self._rest = self._rest[LONGEST_LINE:]
        return [_text(line) for line in lines]

    def end(self) -> list[str]:
        """What was left without an end of line."""
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r")
