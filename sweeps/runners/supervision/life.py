"""Signs of life of a process and of those that it started, from /proc.

Only the standard library: see the package's docstring.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict

#: Seconds of processor time in which a process must use more than it does when it waits: a loop
#: that sleeps a hundredth of a second again and again takes 0.2 s in two minutes.
LEAST_CPU = 0.5


def stat_of(pid: int | str) -> list[bytes] | None:
    """The fields of /proc/PID/stat from the state on: state, parent, group, session, ...; None
    where there is no such process, or no /proc."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            # The name in parentheses may hold spaces.
            return stream.read().rpartition(b")")[2].split() or None
    except OSError:
        return None  # it has ended


def processes() -> dict[int, list[bytes]]:
    """What `stat_of` says of each process."""
    try:
        names = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return {}
    found = ((name, stat_of(name)) for name in names)
    return {int(name): fields for name, fields in found if fields is not None}


def used_by(pid: int) -> tuple[float, int] | None:
    """Seconds of processor time and bytes of input and output of a process and its descendants, of
    all their threads; None where there is no /proc."""
    stats = _stats()
    if pid not in stats:
        return None
    children = defaultdict[int, list[int]](list)
    for child, (parent, _) in stats.items():
        children[parent].append(child)
    family, cpu = [pid], 0.0
    for each in family:  # which grows
        family += children[each]
        cpu += stats[each][1]
    return cpu, sum(_transferred(each) for each in family)


def _stats() -> dict[int, tuple[int, float]]:
    """Process id → the parent's, and seconds of processor time, with those of ended children."""
    ticks = os.sysconf("SC_CLK_TCK")
    return {
        pid: (int(fields[1]), sum(map(int, fields[11:15])) / ticks)
        for pid, fields in processes().items()
    }


def _transferred(pid: int) -> int:
    """Bytes that a process has read and written, by whatever call."""
    try:
        with open(f"/proc/{pid}/io", "rb") as stream:
            lines = stream.read().splitlines()
    except OSError:
        return 0  # ended, or of another user
    return sum(int(line.split()[1]) for line in lines if line.startswith((b"rchar", b"wchar")))


class Watch:
    """Whether a process shows signs of life: its processor time or its input and output advance.

    after: seconds without any after which it counts as hung. Numerical libraries that keep Python
    from running for minutes use the processor all the time, and count as alive.
    """

    def __init__(self, pid: int, after: float) -> None:
        self.pid, self.after = pid, after
        self._last, self._since = used_by(pid), time.monotonic()

    def hung(self) -> bool:
        """Looks once. Never where the system does not say what a process uses."""
        now = used_by(self.pid)
        if now is None or self._last is None:
            return False
        if now[0] - self._last[0] >= LEAST_CPU or now[1] != self._last[1]:
            self._last, self._since = now, time.monotonic()
        return time.monotonic() - self._since >= self.after
