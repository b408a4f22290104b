"""How a command ends that is told to."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from sweeps.cli.console import say

#: Commands that train or read much, so that ending them may take time.
LONG = frozenset({"run", "resume", "extend", "verify", "train", "check"})


@contextlib.contextmanager
def ending(command: str | None) -> Iterator[None]:
    """Within: SIGTERM does what Ctrl-C does, and ends a long command within seconds in any case."""
    with _sigterm_as_ctrl_c():
        if command not in LONG:
            yield
            return
        from sweeps.driver.hard_stop import ends_soon

        with ends_soon(lambda: say("interrupted")):
            yield


@contextlib.contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def interrupt(number: int, interrupted: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is interrupt:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
