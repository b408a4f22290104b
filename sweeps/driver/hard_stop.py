"""The end of a process that was interrupted twice, also while Ray keeps its main thread.

Python runs signal handlers between two of its own instructions. While Ray starts, the main thread
is in one call for many seconds, and two signals are then seen as one. So a thread counts signals
as they arrive. Every recorded row is on the disk by then, and stays.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

from sweeps.runners.processes import descendants, kill
from sweeps.runners.scratch import remove_used

#: Seconds that an orderly end may take after the second signal.
PATIENCE = 2.0
#: The exit code of what was interrupted, as shells use it.
INTERRUPTED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def ends_soon(last_words: Callable[[], None], patience: float = PATIENCE) -> Iterator[None]:
    """Within: two signals end this process, at the latest `patience` seconds after the second one,
    whatever it does by then.

    Only for a process that belongs to the command: its children are killed, scratch folders are
    removed, `last_words` is called, and the exit code is 130.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived, into = os.pipe()
    os.set_blocking(into, False)
    before = signal.set_wakeup_fd(into, warn_on_full_buffer=False)
    twice = threading.Event()
    arguments = arrived, twice, patience, last_words
    watch = threading.Thread(target=_watch, args=arguments, daemon=True)
    watch.start()
    try:
        yield
    finally:
        if not twice.is_set():
            signal.set_wakeup_fd(before)
            os.close(into)
            watch.join()
            os.close(arrived)


def _watch(
    arrived: int, twice: threading.Event, patience: float, last_words: Callable[[], None]
) -> None:
    """Reads numbers of signals until the pipe ends; after the second one, time runs."""
    count = 0
    while count < 2:
        if not (numbers := os.read(arrived, 64)):
            return
        count += sum(number in SIGNALS for number in numbers)
    twice.set()
    time.sleep(patience)
    try:
        kill(descendants(os.getpid()))
        remove_used()
        last_words()
    finally:
        os._exit(INTERRUPTED)


def ignore_signals() -> None:
    """For a process that is about to end: one more Ctrl-C must not change its exit code."""
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
