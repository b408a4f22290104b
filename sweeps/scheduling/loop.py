"""The loop of a sweep: ask, make packs, run, record, tell. Three interfaces and one record.

    search (what to try) → packs → runner (where) → rows → ledger (the record) → search, observers

`SweepFeed` stands between the search, the runner and the ledger. Resume is the same loop: the
search is told what the ledger holds, and none of it is trained again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from backdoor.wording import counted
from sweeps.early_stopping.predictor import predictor_of
from sweeps.ledger import Ledger, Rows
from sweeps.packs.pack import PackSettings
from sweeps.records.failure_text import common_cause
from sweeps.records.incident import STARTED, Incident
from sweeps.runners import Runner
from sweeps.scheduling.deadlines import Predicted
from sweeps.scheduling.retries import Retries
from sweeps.scheduling.reuse import TrialPool
from sweeps.scheduling.sweep_feed import Observer, SweepFeed
from sweeps.search import Search
from sweeps.spec import SweepSpec
from sweeps.storage.incident_log import IncidentLog
from sweeps.storage.paths import SweepPaths

#: Seconds that running packs have after SIGTERM, whose sender will soon kill.
SIGTERM_SECONDS = 6.0

__all__ = ["Observer", "SweepFeed", "SweepOutcome", "run_search"]


@dataclass(frozen=True)
class SweepOutcome:
    """How a sweep ended: counts of trials, whether it was interrupted, and its results folder.

    failed: trials whose latest attempt failed. stopped: those that a stopping rule ended before
    their last epoch. unprobed: finished ones that lack the result of a probe. open: those that
    failed, and of which nobody knows yet whether they or their node are at fault.
    """

    finished: int
    failed: int
    interrupted: bool
    stopped: int
    unprobed: int
    folder: Path
    open: int = 0

    @classmethod
    def of(
        cls, ledger: Ledger, spec: SweepSpec, interrupted: bool, open_trials: Collection[str] = ()
    ) -> SweepOutcome:
        """By what the ledger holds."""
        return cls(
            finished=len(ledger.finished),
            failed=len(ledger.failed),
            interrupted=interrupted,
            stopped=len(ledger.stopped),
            unprobed=len(ledger.unprobed(spec.probes)),
            folder=ledger.folder.parent,
            open=len(set(open_trials) - ledger.finished - ledger.stopped),
        )


@dataclass(frozen=True)
class Surroundings:
    """What a sweep is told by who runs it. say: shows a line about a worker that died or a node
    that is left out. data_fingerprint: of the data that every node must have. predicted: seconds
    of packs of which nothing like them has ended, see `Deadlines`."""

    say: Callable[[str], None] = lambda line: None
    data_fingerprint: str | None = None
    predicted: Predicted | None = None


def run_search(
    spec: SweepSpec,
    ledger: Ledger,
    search: Search,
    runner: Runner,
    observers: Sequence[Observer] = (),
    on_interrupt: Callable[[], None] = lambda: None,
    pool: TrialPool | None = None,
    around: Surroundings | None = None,
) -> SweepOutcome:
    """Runs the search to its end, or until it is interrupted.

    pool: finished trials of other sweeps, which are recorded where the search asks for them.

    The first SIGINT or SIGTERM lets running packs end and calls `on_interrupt`; after SIGTERM they
    have `SIGTERM_SECONDS`. Then, or with a second signal, KeyboardInterrupt is raised. What has
    been recorded stays recorded in any case.
    """
    search.tell(_present(ledger))
    predictor, settings = predictor_of(spec), PackSettings.of(spec)
    log = IncidentLog(SweepPaths(ledger.folder.parent).incidents)
    log.append(Incident(STARTED, time.time()))
    around = around or Surroundings()
    retries = Retries(around.say, log, settings.time_limit is not None)
    given = predictor, spec.files, pool, retries, around.data_fingerprint, around.predicted
    feed = SweepFeed(search, ledger, settings, observers, *given)
    with _interruptible(feed.stopping, on_interrupt):
        runner.run(feed)
    if feed.error is not None:
        raise feed.error
    # A runner that returns before the feed is done has left trials that nobody trained.
    interrupted = feed.stopping.is_set() or not feed.done
    outcome = SweepOutcome.of(ledger, spec, interrupted, retries.open_trials)
    if outcome.open and not interrupted:
        cause = common_cause(list(retries.open_trials.values()))
        around.say(f"{counted(outcome.open, 'trial')} left open, {cause}")
    return outcome


def _present(ledger: Ledger) -> Rows:
    """What the ledger holds, but for trials that are to be trained again."""
    table = ledger.table()
    if not ledger.outdated:
        return table
    return table.filter([t not in ledger.outdated for t in table["trial_id"].to_pylist()])


@contextlib.contextmanager
def _interruptible(stopping: threading.Event, on_interrupt: Callable[[], None]) -> Iterator[None]:
    """Turns the first signal into a flag. Only the main thread can handle signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ended, guard = threading.Event(), threading.Lock()

    def stop() -> None:
        with guard:
            if not ended.is_set():
                # It wakes the main thread where it waits, and is counted as the second signal.
                os.kill(os.getpid(), signal.SIGTERM)

    over = threading.Timer(SIGTERM_SECONDS, stop)
    over.daemon = True

    def handle(number: int, interrupted: FrameType | None) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()
        if number == signal.SIGTERM:
            over.start()
        with contextlib.suppress(RuntimeError):  # the signal came while something was printed
            on_interrupt()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        over.cancel()
        with guard:  # a signal that comes after the handlers are restored would end the process
            ended.set()
        for number, handler in before.items():
            signal.signal(number, handler)
