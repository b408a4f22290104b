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
from sweeps.ledger import Ledger
from sweeps.mirror import MirrorProcess
from sweeps.storage.paths import SweepPaths
from sweeps.storage.shell import command

#: Seconds that the mirror has after an interrupt.
AFTER_INTERRUPT = 3.0
#: Seconds until the wait is worth a line.
SILENT = 1.0


class Terminated(KeyboardInterrupt):
    """SIGTERM came, which ends the command, where Ctrl-C would only end a wait."""


def wait_for_mirror(mirror: MirrorProcess, paths: SweepPaths, messages: Messages) -> None:
    """Waits until MLflow has all trials, with one line; Ctrl-C leaves the rest for later.

    Raises:
        Terminated: SIGTERM came, which nothing has been said of.
    """
    if not mirror.required:
        return
    line = _Line(paths, messages.quiet, _recorded(paths))
    try:
        with _interruptible():
            warning = mirror.finish(line.show)
    except KeyboardInterrupt as signalled:
        mirror.stop()
        line.status.clear()
        if isinstance(signalled, Terminated):
            raise
        messages.say(_lacking(mirror, paths, "mirror"))
    else:
        line.status.clear()
        if warning:
            messages.warn(f"warning: {warning}")


def leave_mirror(
    mirror: MirrorProcess,
    paths: SweepPaths,
    messages: Messages,
    at_once: bool = False,
    complete: bool = False,
) -> None:
    """Ends the mirror of a sweep that did not end by itself: it is not waited for, but shortly.
    complete: whether all trials are recorded, so that there is nothing to resume."""
    if not mirror.required:
        return
    try:
        warning = mirror.finish(within=0.0 if at_once else AFTER_INTERRUPT)
    except KeyboardInterrupt:
        warning = "interrupted"
    if warning:
        mirror.stop()
        messages.say(_lacking(mirror, paths, "mirror" if complete else "resume"))


def _lacking(mirror: MirrorProcess, paths: SweepPaths, again: str) -> str:
    done, recorded = 0 if mirror.reached is None else mirror.reached[0], _recorded(paths)
    if done and done >= recorded:
        return f"MLflow has all {counted(recorded, 'recorded trial')}."
    has = f"has {counted(done, 'trial')} so far" if done else "lacks trials"
    rest = command("sweeps", again, paths.root)
    return f"MLflow {has}. Nothing is lost; this sends the rest: {rest}"


def _recorded(paths: SweepPaths) -> int:
    """Trials with a row, whatever their end."""
    ledger = Ledger(paths.ledger)
    return len(ledger.finished | ledger.stopped | ledger.failed)


class _Line:
    """The line that is shown during the wait. recorded: trials that MLflow is to have."""

    def __init__(self, paths: SweepPaths, quiet: bool, recorded: int) -> None:
        self._recorded = recorded
        self.status = StatusLine(sys.stderr, SILENT)
        self._quiet, self._meter, self._before = quiet, RateMeter(), 0
        self._later = command("sweeps", "mirror", paths.root)

    def show(self, done: int, total: int) -> None:
        """MLflow has `done` of `total` trials now; the latter was counted at an earlier moment."""
        total = max(total, self._recorded)
        now = time.monotonic()
        self._meter.add(done - self._before, now)
        self._before = done
        if not self._quiet:
            self.status.show(lambda: self._text(done, total, now))

    def _text(self, done: int, total: int, now: float) -> str:
        _, seconds = self._meter.rate_and_left(total - done, now)
        left = "" if seconds is None else f", {duration(seconds)} left"
        text = f"sending trials to MLflow: {done}/{total}{left}"
        told = (f". Ctrl-C leaves the rest to {self._later}", ". Ctrl-C is safe", "")
        # A command that is cut would be another one.
        return next((line for each in told if self.status.fits(line := text + each)), text)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM, which ends a job, ends the wait as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, interrupted: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
