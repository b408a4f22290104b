"""Processes that this one has started, and theirs."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType


def _table() -> Iterator[tuple[int, int, int, str]]:
    """Id, parent, session and state of each process, as /proc lists them."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The name in parentheses may hold spaces; the fields are counted from its end.
            fields = entry.read_text(errors="replace").rpartition(")")[2].split()
            yield int(entry.parent.name), int(fields[1]), int(fields[3]), fields[0]


def descendants(pid: int) -> list[int]:
    """Children of a process and their children, as /proc lists them; empty where it is missing."""
    children = defaultdict[int, list[int]](list)
    for each, parent, _, _ in _table():
        children[parent].append(each)
    found = list(children[pid])
    for each in found:  # which grows
        found += children[each]
    return found


def sessions_of(pids: Iterable[int]) -> set[int]:
    """Sessions that these processes lead: those of their children, too, also when they are gone."""
    asked = set(pids)
    return {session for each, _, session, _ in _table() if each in asked and each == session}


def in_sessions(sessions: Iterable[int]) -> list[int]:
    """Processes of these sessions that run, and not only wait for their parent to notice."""
    asked = set(sessions)
    return [each for each, _, session, state in _table() if session in asked and state not in "ZX"]


def kill(pids: Iterable[int]) -> None:
    """Ends these processes at once; one that has ended already is no error."""
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def kill_descendants(spared: Iterable[int] = ()) -> None:
    """Ends all that this process has started and what those have, but for `spared`, at once.

    A process whose parent has ended belongs to nobody's children any more; its session tells.
    """
    started = set(descendants(os.getpid())) - set(spared)
    led = sessions_of(started)
    kill(started)
    kill(set(in_sessions(led)) - set(spared))


def spare_sigterm() -> None:
    """For a process that trains: SIGTERM does nothing to it, and ends what it starts.

    Processes of a sweep's Ray have SIGTERM blocked. What they start would inherit that, and could
    not be ended by `multiprocessing`, which sends SIGTERM.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    own = os.getpid()

    def handle(number: int, interrupted: FrameType | None) -> None:
        if os.getpid() != own:  # a fork, which has this handler as well
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, handle)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
