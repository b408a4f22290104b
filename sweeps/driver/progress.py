"""Progress on stderr: done of total, rate, time left, failures."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TextIO

from sweeps.driver.status_line import StatusLine
from sweeps.ledger import FAILED, STOPPED, Rows

#: The rate is that of the last seconds, or of the last trials where fewer ended in that time.
WINDOW, FEWEST = 600.0, 30
#: Seconds after the first results until the rate is known: half of what those took, within these
#: limits. Until then only some of the workers have reported.
KNOWN_AFTER = (1.0, 60.0)
#: Results that come within this part of the measured time after the first ones belong to them.
TOGETHER = 0.05
#: Seconds within which results count as one moment in `RateMeter`.
MOMENT = 0.5


def rate_and_left(
    finished_at: Sequence[float],
    done: int,
    total: int,
    now: float,
    started: float | None = None,
) -> tuple[float | None, float | None]:
    """Trials per second by the latest results, and the seconds left; None where not yet known.

    Time before the first result, such as the start of Ray, does not count unless `started` says
    that it was work.

    Args:
        finished_at: when trials ended, in seconds, in any order; of the present run only, since a
            pause between two runs is no work.
        done, total: trials that need no more work, and all.
        now: on the clock of `finished_at`.
        started: when the work on the first of them began, as `work_began` returns it. Without it
            the time is measured from the first result, which is then not counted.
    """
    return _measured(Counter(finished_at), total - done, now, started)


def work_began(
    pack_ids: Iterable[str | None],
    seconds: Iterable[float | None],
    finished_at: Iterable[float],
) -> float | None:
    """When the work on the first of these trials began; None without trials.

    The arguments are columns of the ledger. The trials of a pack are trained at once, and each has
    its share of the seconds."""
    took, ended = defaultdict[str | None, float](float), dict[str | None, float]()
    for pack_id, share, end in zip(pack_ids, seconds, finished_at, strict=True):
        took[pack_id] += share or 0.0
        ended[pack_id] = max(end, ended.get(pack_id, end))
    return min((end - took[pack_id] for pack_id, end in ended.items()), default=None)


def _measured(
    counts: Mapping[float, int], left: int, now: float, started: float | None
) -> tuple[float | None, float | None]:
    """As `rate_and_left`; counts: moment to the trials that ended then."""
    moments = sorted(counts)
    if not moments or now - moments[0] < _known_after(moments[0], started):
        return None, None
    taken = _window(counts, moments)
    # A silence that is longer than any before is part of the time; a shorter one is between two
    # results that belong together.
    gaps = [later - earlier for earlier, later in pairwise(taken)]
    end = max(taken[-1], now - max(gaps, default=0.0))
    begin = started if started is not None and taken == moments else _first_ended(taken, end)
    count = sum(counts[moment] for moment in taken if moment > begin)
    if not count or end <= begin:
        return None, None
    rate = count / (end - begin)
    return rate, max(0, left) / rate


def _first_ended(moments: Sequence[float], end: float) -> float:
    """The last of the moments that belong to the first one."""
    within = moments[0] + TOGETHER * (end - moments[0])
    return max(moment for moment in moments if moment <= within)


def _known_after(first: float, started: float | None) -> float:
    """Seconds after the first result from which the rate is known."""
    least, most = KNOWN_AFTER
    return min(most, max(least, (first - (first if started is None else started)) / 2))


def _window(counts: Mapping[float, int], moments: Sequence[float]) -> Sequence[float]:
    """The last moments by which the rate is measured."""
    seen = 0
    for index in range(len(moments) - 1, -1, -1):
        if moments[index] < moments[-1] - WINDOW and seen >= FEWEST:
            return moments[index + 1 :]
        seen += counts[moments[index]]
    return moments


class RateMeter:
    """When results came, on a monotonic clock, for their rate. began: as `started` above."""

    def __init__(self) -> None:
        self.began: float | None = None
        self._counts: dict[float, int] = {}

    def add(self, count: int, now: float) -> None:
        """Counts results that came just now."""
        last = next(reversed(self._counts), -math.inf)
        moment = last if now - last < MOMENT else now
        self._counts[moment] = self._counts.get(moment, 0) + count

    def rate_and_left(self, left: int, now: float) -> tuple[float | None, float | None]:
        """Per second, and the seconds for `left` more; None where not yet known."""
        return _measured(self._counts, left, now, self.began)


class Progress:
    """One line that is redrawn on a terminal; a line now and then elsewhere.

    total, done: trials of the sweep, and those that were recorded before. at_most: whether the
    search may end before all of them are trained.
    """

    def __init__(
        self, total: int, done: int, stream: TextIO | None = None, at_most: bool = False
    ) -> None:
        self.total, self.done, self.failed, self.stopped = total, done, 0, 0
        self.at_most, self.meter, self.stopping = at_most, RateMeter(), False
        self._line = StatusLine(stream or sys.stderr)

    def recorded(self, rows: Rows) -> None:
        statuses = rows["status"].to_pylist()
        failed = statuses.count(FAILED)
        self.failed += failed
        self.stopped += statuses.count(STOPPED)
        self.done += rows.num_rows - failed
        self._note(rows, time.monotonic())
        self.show()

    def stop(self) -> None:
        """Only running trials end from now on: the time to the end of all is no longer shown."""
        self.stopping = True

    def _note(self, rows: Rows, now: float) -> None:
        """The clocks of workers, which may be on other machines, are used for durations only."""
        if self.meter.began is None:
            ended = rows["finished_at"].to_pylist()
            began = work_began(rows["pack_id"].to_pylist(), rows["seconds"].to_pylist(), ended)
            self.meter.began = None if began is None else now - (max(ended) - began)
        self.meter.add(rows.num_rows, now)

    def above(self, show: Callable[[str], None]) -> Callable[[str], None]:
        """`show` for lines that are to stand above this one."""

        def shown(line: str) -> None:
            self._line.clear()
            show(line)

        return shown

    def show(self, last: bool = False) -> None:
        """Redraws the line where it is time for that; last: in any case, and it stays."""
        self._line.show(lambda: self.line(time.monotonic()), last)

    def line(self, now: float) -> str:
        """The line at this moment of a monotonic clock."""
        left = self.total - self.done - self.failed
        rate, seconds = self.meter.rate_and_left(left, now)
        text = f"{self.done}/{self.total} trials"
        if rate is not None and seconds is not None:
            text += f", {rate:.3g}/s"
            if left > 0 and not self.stopping:
                text += f", {'at most ' * self.at_most}{duration(seconds)} left"
        text += ", stopping" if self.stopping else ""
        text += f", {self.stopped} stopped early" if self.stopped else ""
        return text + (f", {self.failed} failed" if self.failed else "")


def duration(seconds: float) -> str:
    """`3 h 5 min`, `2 min 30 s`, `40 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
