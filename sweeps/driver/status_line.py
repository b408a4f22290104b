"""A line on stderr that is redrawn on a terminal, and printed now and then elsewhere."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import TextIO

#: Seconds between two states of the line on a terminal, and between two lines elsewhere.
REDRAW_EVERY, LINE_EVERY = 0.1, 10.0
#: What moves to the beginning of the line on a terminal, and empties it.
EMPTY = "\r\x1b[K"


class StatusLine:
    """wait: seconds until it is shown first, so that nothing is said of what takes no time."""

    def __init__(self, stream: TextIO, wait: float = 0.0) -> None:
        self._stream, self._tty = stream, stream.isatty()
        self._every = REDRAW_EVERY if self._tty else LINE_EVERY
        self._next = time.monotonic() + wait if wait else 0.0

    def show(self, text: Callable[[], str], last: bool = False) -> None:
        """Shows the text where it is time for that; last: in any case, and it stays."""
        now = time.monotonic()
        if not last and now < self._next:
            return
        self._next = now + self._every
        start, end = (EMPTY, "\n" if last else "") if self._tty else ("", "\n")
        self._print(f"{start}{self._cut(text())}", end)

    def clear(self) -> None:
        """Removes the line from a terminal."""
        if self._tty:
            self._print(EMPTY, "")

    def _cut(self, text: str) -> str:
        """A line that is longer than the terminal is wide could not be redrawn in place."""
        return text if self.fits(text) else text[: self._width - 3] + "..."

    def fits(self, text: str) -> bool:
        """Whether the text is shown whole."""
        return not self._tty or len(text) <= self._width

    @property
    def _width(self) -> int:
        return shutil.get_terminal_size().columns - 1

    def _print(self, text: str, end: str) -> None:
        print(text, end=end, file=self._stream, flush=True)
