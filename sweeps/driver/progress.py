"""Progress on stderr: done of total, rate, time left, failures."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from sweeps.ledger import FAILED, STOPPED, Rows

#: Seconds between lines where there is no terminal to redraw.
LINE_EVERY = 10.0


class Progress:
    """One line that is redrawn on a terminal; a line now and then elsewhere."""

    def __init__(self, total: int, done: int, stream: TextIO | None = None) -> None:
        self.total, self.done, self.failed, self.stopped = total, done, 0, 0
        self.stream = stream or sys.stderr
        self._before, self._started, self._printed = done, time.monotonic(), 0.0
        self._tty = self.stream.isatty()

    def recorded(self, rows: Rows) -> None:
        statuses = rows["status"].to_pylist()
        failed = statuses.count(FAILED)
        self.failed += failed
        self.stopped += statuses.count(STOPPED)
        self.done += rows.num_rows - failed
        self.show()

    def show(self, last: bool = False) -> None:
        now = time.monotonic()
        if not last and now - self._printed < (0.1 if self._tty else LINE_EVERY):
            return
        self._printed = now
        start, end = ("\r\x1b[K", "\n" if last else "") if self._tty else ("", "\n")
        print(f"{start}{self.line(now - self._started)}", end=end, file=self.stream, flush=True)

    def line(self, elapsed: float) -> str:
        """The line after `elapsed` seconds."""
        new = self.done - self._before
        rate = new / elapsed if elapsed > 0 else 0.0
        text = f"{self.done}/{self.total} trials"
        if new:
            text += f", {rate:.3g}/s"
            left = self.total - self.done - self.failed
            if left > 0:
                text += f", {_duration(left / rate)} left"
        text += f", {self.stopped} stopped early" if self.stopped else ""
        return text + (f", {self.failed} failed" if self.failed else "")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
