"""The end of a command that was interrupted, also while Ray keeps its main thread.

Python runs signal handlers between two of its own instructions. While Ray starts, the main thread
is in one call for many seconds, and two signals are then seen as one. So a thread counts signals
as they arrive. Every recorded row is on the disk by then, and stays.

The first Ctrl-C has no limit: running packs end. After SIGTERM, which `timeout`, systemd, Slurm and
a cluster send before they kill, everything ends within `WITHIN` seconds, and after the second
signal of either kind within `PATIENCE`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator

from sweeps.runners.processes import descendants, kill
from sweeps.runners.scratch import remove_used
from sweeps.runners.watcher import watching

#: Seconds that an orderly end may take after the second signal, and after SIGTERM.
PATIENCE, WITHIN = 2.0, 9.0
#: Seconds that the last words may take, for instance where nobody reads them.
WORDS_WITHIN = 1.0
#: The exit code of what was interrupted, as shells use it: of SIGTERM as well.
INTERRUPTED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Once:
    """Says something once, from whichever thread comes first; another one waits for it."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell, self._lock, self._told = tell, threading.Lock(), False

    def __call__(self) -> None:
        with self._lock:
            if not self._told:
                self._tell()
                self._told = True


#: What is said last: that of the innermost block.
_words: list[Callable[[], None]] = []


@contextlib.contextmanager
def ends_soon(
    last_words: Callable[[], None], patience: float = PATIENCE, within: float = WITHIN
) -> Iterator[None]:
    """Within: SIGTERM ends this process at the latest after `within` seconds; two signals end it
    `patience` seconds after the second one, whatever it does by then.

    Only for a process that belongs to the command: its children are killed, scratch folders are
    removed, `last_words` is called, and the exit code is 130. In an inner block the outer one goes
    on, with other last words.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _words.append(last_words)
    try:
        with contextlib.nullcontext() if len(_words) > 1 else _watched(patience, within):
            yield
    finally:
        _words.pop()


@contextlib.contextmanager
def _watched(patience: float, within: float) -> Iterator[None]:
    arrived, into = os.pipe()
    os.set_blocking(into, False)
    before = signal.set_wakeup_fd(into, warn_on_full_buffer=False)
    limited = threading.Event()
    arguments = arrived, limited, patience, within
    watch = threading.Thread(target=_watch, args=arguments, daemon=True)
    watch.start()
    try:
        yield
    finally:
        # What was told to end soon may still take its time after this block.
        if not limited.is_set():
            signal.set_wakeup_fd(before)
            os.close(into)
            watch.join()
            os.close(arrived)


def _watch(arrived: int, limited: threading.Event, patience: float, within: float) -> None:
    """Reads numbers of signals until the pipe ends; ends the process when its time is over."""
    count, due = 0, float("inf")
    while (left := due - time.monotonic()) > 0:
        if not select.select([arrived], [], [], left if limited.is_set() else None)[0]:
            continue
        if not (numbers := os.read(arrived, 64)):
            return
        count += sum(number in SIGNALS for number in numbers)
        for applies, seconds in ((signal.SIGTERM in numbers, within), (count >= 2, patience)):
            due = min(due, time.monotonic() + seconds) if applies else due
        if due < float("inf"):
            limited.set()
    _end()


def _end() -> None:
    """Ends this process now, with what it has started."""
    last_words = _words[-1] if _words else _nothing
    try:
        kill(set(descendants(os.getpid())) - watching)
        remove_used()
        says = threading.Thread(target=last_words, daemon=True)
        says.start()
        says.join(WORDS_WITHIN)
    finally:
        os._exit(INTERRUPTED)


def _nothing() -> None:
    """The block has ended, and has said what there is to say."""


def ignore_signals() -> None:
    """For a process that is about to end: one more Ctrl-C must not change its exit code."""
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
