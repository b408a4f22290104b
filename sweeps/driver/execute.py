"""Trains what a results folder lacks: its lock, the ledger, the runner, the mirror, the answer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace

from backdoor.errors import escaped
from backdoor.wording import counted
from sweeps.cost.late_prediction import LatePrediction
from sweeps.driver.backlog import leave_mirror, wait_for_mirror
from sweeps.driver.hard_stop import Once, ends_soon
from sweeps.driver.messages import STOPPING, Messages, interrupted
from sweeps.driver.progress import Progress
from sweeps.driver.runner import RunnerName, runner_of
from sweeps.driver.was_running import say_was_running
from sweeps.ledger import Ledger, Rows
from sweeps.ledger.outdated_trials import trials_to_repeat
from sweeps.mirror import MirrorProcess, tracking_warnings
from sweeps.packs.pack import PackSettings
from sweeps.region.labels import attacked_classes
from sweeps.results.create import store_spec
from sweeps.results.data_read import data_read
from sweeps.runners import Runner
from sweeps.scheduling.loop import Observer, Surroundings, SweepOutcome, run_search
from sweeps.scheduling.reuse import open_pool
from sweeps.search import make_search
from sweeps.spec import SweepSpec
from sweeps.spec.former import former_notes
from sweeps.storage.files import locked
from sweeps.storage.leftovers import clear_leftovers
from sweeps.storage.paths import SweepPaths, read_sweep


def holding(paths: SweepPaths) -> ExitStack:
    """The lock of a results folder, held until the stack is closed.

    A command holds it from before it reads the spec until it has answered: what it does is then
    what the folder asks, whoever extends it meanwhile.
    """
    stack = ExitStack()
    stack.enter_context(locked(paths.lock))
    return stack


def execute(
    paths: SweepPaths,
    spec: SweepSpec,
    runner: RunnerName | Runner,
    messages: Messages,
    answer: Callable[[SweepOutcome, Ledger], None] = lambda outcome, ledger: None,
    ends_process: bool = False,
    lock: ExitStack | None = None,
) -> tuple[SweepOutcome, Ledger]:
    """Trains what the ledger lacks, and mirrors it to MLflow; locked, so that nobody else does.

    answer: called when all trials have ended, unless the sweep was interrupted. Only then MLflow's
    backlog is waited for. ends_process: whether SIGTERM and a second signal may end this process,
    where it would take long otherwise. lock: holds the folder's lock since the spec was read, if it
    was read from the folder; it is released when the answer is there.
    """
    mirror = MirrorProcess(paths, uri=None if spec.tracking is None else spec.tracking.uri)
    answering = False
    with ExitStack() as until_ended:
        with lock or holding(paths):
            clear_leftovers(paths)
            store_spec(paths, spec)
            ledger = Ledger(paths.ledger)
            sweep = read_sweep(paths)
            ledger.outdated = trials_to_repeat(ledger, sweep)
            say_was_running(paths, ledger, runner, messages.warn)
            told = _Interrupted(paths, ledger, messages, sweep["planned"])
            if ends_process:
                until_ended.enter_context(ends_soon(told.tell))
            try:
                outcome, at_once = _train(paths, spec, ledger, runner, messages, mirror)
                if not outcome.interrupted:
                    answering = True
                    answer(outcome, ledger)
                    mirror.end()  # its last pass shows the answer, which is there now
                    told.answered = True
            except KeyboardInterrupt:
                outcome, at_once = SweepOutcome.of(ledger, spec, interrupted=True), True
            except BaseException:
                mirror.stop() if answering else leave_mirror(mirror, paths, messages)
                raise
        if outcome.interrupted:
            told.tell()
            leave_mirror(mirror, paths, messages, at_once, told.complete)
            return outcome, ledger
        try:
            wait_for_mirror(mirror, paths, messages)
        except KeyboardInterrupt:
            mirror.stop()
            told.tell()
            outcome = replace(outcome, interrupted=True)
    return outcome, ledger


def _train(
    paths: SweepPaths,
    spec: SweepSpec,
    ledger: Ledger,
    runner: RunnerName | Runner,
    messages: Messages,
    mirror: MirrorProcess,
) -> tuple[SweepOutcome, bool]:
    """The outcome, and whether it was stopped at once."""
    pool, gone = open_pool(paths, PackSettings.of(spec))
    sweep, search, say = read_sweep(paths), make_search(spec), messages.say
    recorded, at_once = len(ledger.ended), False
    planned = counted(sweep["planned"], "trial")
    say(f"{spec.name}: {planned}, {recorded:,} recorded, in {escaped(str(paths.root))}")
    stopped = len(ledger.outdated & ledger.stopped)
    messages.say_outdated(len(ledger.outdated), stopped, sweep["planned"] - recorded)
    messages.say_data(data_read(spec))
    for warning in spec.warnings:
        messages.warn(f"warning: {warning}")
    for other in pool.sweeps if pool is not None else ():
        say(f"looks for its trials among {counted(len(other.index), 'trial')} of {other.folder}")
    for folder in gone:
        messages.warn(f"warning: trials are not taken over: {folder}")
    if named := attacked_classes(spec.panel, sweep["class_names"], spec.document["attack"]):
        say(named)
    for note in former_notes(spec):
        say(f"note: {note}")
    if runner == "tune" and recorded < sweep["planned"]:
        say("starting Ray ...")
    observers = list[Observer]()
    if sweep["tracking"]["uri"]:
        for known in tracking_warnings(sweep, paths, mirror.uri):
            messages.warn(f"warning: {known}")
        mirror.start()
        observers.append(_Notify(mirror))
    progress = Progress(sweep["planned"], recorded, at_most=search.size is not None)
    if not messages.quiet:
        observers.append(progress)

    def stopping() -> None:
        progress.stop()
        say(STOPPING)

    try:
        chosen = runner_of(runner, spec, ledger)
        with closing(LatePrediction()) as predicted:
            say_above = progress.above(messages.warn)
            around = Surroundings(say_above, sweep["data_fingerprint"], predicted)
            outcome = run_search(spec, ledger, search, chosen, observers, stopping, pool, around)
    except KeyboardInterrupt:
        outcome, at_once = SweepOutcome.of(ledger, spec, interrupted=True), True
    finally:
        if not messages.quiet:
            progress.show(last=True)
        ledger.compact()
    for taken in pool.sweeps if pool is not None else ():
        say(str(taken))
    return outcome, at_once


class _Interrupted:
    """Tells once that the sweep was interrupted, and how to go on."""

    def __init__(self, paths: SweepPaths, ledger: Ledger, messages: Messages, planned: int) -> None:
        self.paths, self.ledger, self.messages, self.planned = paths, ledger, messages, planned
        #: Whether the answer is written.
        self.answered = False
        self.tell = Once(self._tell)

    @property
    def complete(self) -> bool:
        """Whether all planned trials are recorded."""
        return len(self.ledger.ended) >= self.planned

    def _tell(self) -> None:
        recorded = len(self.ledger.ended)
        self.messages.say(interrupted(self.paths, recorded, self.planned, self.answered))


class _Notify:
    """Wakes the mirror when rows have become durable."""

    def __init__(self, mirror: MirrorProcess) -> None:
        self.mirror = mirror

    def recorded(self, rows: Rows) -> None:
        self.mirror.notify()
