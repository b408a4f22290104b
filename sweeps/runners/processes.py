"""Processes that this one has started, and theirs."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections import defaultdict
from collections.abc import Iterable
from types import FrameType

from sweeps.runners.supervision.life import processes


def descendants(pid: int) -> list[int]:
    """Children of a process and their children, as /proc lists them; empty where it is missing."""
    children = defaultdict[int, list[int]](list)
    for each, fields in processes().items():
        children[int(fields[1])].append(each)
    found = list(children[pid])
    for each in found:  # which grows
        found += children[each]
    return found


def kill(pids: Iterable[int]) -> None:
    """Ends these processes at once; one that has ended already is no error."""
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def ignore_sigterm() -> None:
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
