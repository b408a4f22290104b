"""What MLflow still lacks when the trials have ended: waited for after the answer, if at all."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

from backdoor.wording import counted
from sweeps.driver.messages import Messages
from sweeps.driver.progress import RateMeter, duration
from sweeps.driver.status_line import StatusLine
from sweeps.mirror import MirrorProcess
from sweeps.storage.paths import SweepPaths
from sweeps.storage.shell import command

#: Seconds that the mirror has after an interrupt.
AFTER_INTERRUPT = 3.0
#: Seconds until the wait is worth a line.
SILENT = 1.0


def wait_for_mirror(mirror: MirrorProcess, paths: SweepPaths, messages: Messages) -> None:
    """Waits until MLflow has all trials, with one line; Ctrl-C leaves the rest for later."""
    if not mirror.required:
        return
    line = _Line(paths, messages.quiet)
    try:
        with _interruptible():
            warning = mirror.finish(line.show)
    except KeyboardInterrupt:
        mirror.stop()
        line.status.clear()
        messages.say(_lacking(mirror, command("sweeps", "mirror", paths.root)))
    else:
        line.status.clear()
        if warning:
            messages.warn(f"warning: {warning}")


def leave_mirror(
    mirror: MirrorProcess, paths: SweepPaths, messages: Messages, at_once: bool = False
) -> None:
    """Ends the mirror of a sweep that did not end by itself: it is not waited for, but shortly."""
    if not mirror.required:
        return
    try:
        warning = mirror.finish(within=0.0 if at_once else AFTER_INTERRUPT)
    except KeyboardInterrupt:
        warning = "interrupted"
    if warning:
        mirror.stop()
        messages.say(_lacking(mirror, command("sweeps", "resume", paths.root)))


def _lacking(mirror: MirrorProcess, again: str) -> str:
    done = 0 if mirror.reached is None else mirror.reached[0]
    has = f"has {counted(done, 'trial')} so far" if done else "lacks trials"
    return f"MLflow {has}. Nothing is lost; this sends the rest: {again}"


class _Line:
    """The line that is shown during the wait."""

    def __init__(self, paths: SweepPaths, quiet: bool) -> None:
        self.status = StatusLine(sys.stderr, SILENT)
        self._quiet, self._meter, self._before = quiet, RateMeter(), 0
        self._later = command("sweeps", "mirror", paths.root)

    def show(self, done: int, total: int) -> None:
        """MLflow has `done` of `total` trials now."""
        now = time.monotonic()
        self._meter.add(done - self._before, now)
        self._before = done
        if not self._quiet:
            self.status.show(lambda: self._text(done, total, now))

    def _text(self, done: int, total: int, now: float) -> str:
        _, seconds = self._meter.rate_and_left(total - done, now)
        left = "" if seconds is None else f", {duration(seconds)} left"
        later = f"Ctrl-C leaves the rest to {self._later}"
        return f"sending trials to MLflow: {done}/{total}{left}. {later}"


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM, which ends a job, does what Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, interrupted: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
