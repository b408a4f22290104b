"""The process that mirrors a sweep while it runs: `python -m sweeps.mirror.follower DIR`.

It looks at the ledger every two seconds, or when a line comes on stdin, but not twice within a
second: many rows at once are less work than a few at a time, and the sweep's workers need the
processor. When stdin ends, the sweep has ended: one last pass follows. The exit code is 0 when
MLflow has all, else 1 with the reason as the last line of output.
"""

from __future__ import annotations

import contextlib
import functools
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from backdoor.errors import BackdoorSweepsError
from sweeps.addresses import scrubbed
from sweeps.ledger import Ledger
from sweeps.mirror.current_answer import answer_if_any
from sweeps.mirror.experiment import mlflow_settings
from sweeps.mirror.panel_tags import experiment_tags
from sweeps.mirror.sync import only_mirror, view_of
from sweeps.mirror.tracking_store import (
    one_line,
    preflight,
    refuse_linked_store,
    tracking_uri,
)
from sweeps.mirror.view import View
from sweeps.storage.paths import SweepPaths, read_sweep

#: Seconds between two looks at the ledger, and the least between two lines of progress.
LOOK_EVERY, SAY_EVERY = 2.0, 1.0
#: Seconds to wait after each look.
REST = 1.0
#: Seconds until a failed pass is tried again; doubled with every failure.
RETRY_FIRST, RETRY_MOST = 5.0, 60.0


class Follower:
    """Keeps MLflow up to date with a growing ledger. `step` never raises.

    say: takes lines for the log. clock: seconds, as `time.monotonic` gives them.
    """

    def __init__(
        self,
        paths: SweepPaths,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._paths, self._say, self._clock = paths, say, clock
        self._view: View | None = None
        self._ledger: Ledger | None = None
        self._files: list[Path] = []
        self._reason, self._failures, self._retry_at, self._said_at = "", 0, 0.0, 0.0
        self._lock = contextlib.ExitStack()

    @property
    def pause(self) -> float:
        """Seconds to wait for new rows before the next `step`."""
        return max(self._retry_at - self._clock(), LOOK_EVERY if not self._reason else 0.0)

    def step(self) -> None:
        """Mirrors what is new, unless a failure is so recent that trying again is too early."""
        if self._reason and self._clock() < self._retry_at:
            return
        if not self._try_sync():
            wait = min(RETRY_MOST, RETRY_FIRST * 2 ** (self._failures - 1))
            self._retry_at = self._clock() + wait

    def last(self) -> bool:
        """The pass after the sweep has ended: whether MLflow has all now."""
        self._reason = ""
        done = self._try_sync(whole=True)
        self._lock.close()
        return done

    def _try_sync(self, whole: bool = False) -> bool:
        """One pass; a failure is kept as the reason, and said when it is a new one."""
        try:
            self._sync_once(whole)
        except Exception as error:
            # After a failure nothing is known of the store: list its runs again.
            self._view, self._files = None, []
            self._failures += 1
            reason = _reason(error)
            if reason != self._reason:
                self._say(f"not mirrored: {reason}")
            self._reason = reason
            return False
        self._reason, self._failures, self._retry_at = "", 0, 0.0
        return True

    def _sync_once(self, whole: bool) -> None:
        ledger, view = self._ledger or self._opened(), self._view or self._connected()
        self._sync_rows(ledger, view)
        if not whole:
            return
        # The sweep has written region.json, unless it was interrupted.
        answer = answer_if_any(self._paths, trust_file=True)
        with mlflow_settings():
            if view.behind:
                view.sync(ledger.table(), self._progress, answer=answer)
            view.set_tags(experiment_tags(answer))

    def _sync_rows(self, ledger: Ledger, view: View) -> None:
        files = ledger.files() + ledger.probe_results.files()
        if files == self._files:
            return
        table = ledger.table()
        with mlflow_settings():
            new = view.sync(table, self._progress, whole=False)
        if new:
            self._say(f"mirrored {view.trials_synced}/{table.num_rows}")
        self._files = files

    def _opened(self) -> Ledger:
        self._lock.enter_context(only_mirror(self._paths))
        self._ledger = Ledger(self._paths.ledger, keep=False)
        return self._ledger

    def _connected(self) -> View:
        sweep = read_sweep(self._paths)
        uri = tracking_uri(sweep, self._paths)
        refuse_linked_store(uri, self._paths)
        preflight(uri)
        with mlflow_settings():
            self._view = view_of(self._paths, sweep, uri)
        return self._view

    def _progress(self, done: int, total: int) -> None:
        if self._clock() - self._said_at >= SAY_EVERY:
            self._said_at = self._clock()
            self._say(f"mirrored {done}/{total}")


def _reason(error: Exception) -> str:
    if isinstance(error, BackdoorSweepsError):
        return one_line(str(error))
    return one_line(scrubbed(f"{type(error).__name__}: {error}"))


def wait(stdin: int, seconds: float) -> bool:
    """Waits for a line, but no longer than `seconds`; True when stdin has ended."""
    ready, _, _ = select.select([stdin], [], [], seconds)
    return bool(ready) and not os.read(stdin, 1 << 16)


def rest(stdin: int, seconds: float) -> bool:
    """Waits for so many seconds, whatever lines come; True at once when stdin has ended."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if wait(stdin, left):
            return True
    return False


def follow(paths: SweepPaths, stdin: int, say: Callable[[str], None]) -> bool:
    """Follows the sweep until stdin ends. Whether MLflow has all then."""
    follower, ended = Follower(paths, say), False
    while not ended:
        follower.step()
        ended = rest(stdin, REST) or wait(stdin, follower.pause)
    return follower.last()


def main(folder: str) -> int:
    """Exit 0 when MLflow has all that the ledger has."""
    # Ctrl-C and the stop of a cluster job reach every process, but this one ignores them: both
    # end the sweep, and this process ends after its sweep.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    done = follow(
        SweepPaths(Path(folder)), sys.stdin.fileno(), functools.partial(print, flush=True)
    )
    return 0 if done else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
