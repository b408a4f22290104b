"""From a question to region.json: the folder, its lock, the ledger, the runner and the mirror."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

from backdoor.errors import escaped
from backdoor.wording import counted
from sweeps.driver.backlog import leave_mirror, wait_for_mirror
from sweeps.driver.hard_stop import ends_soon
from sweeps.driver.messages import STOPPING, Messages
from sweeps.driver.progress import Progress
from sweeps.driver.runner import RunnerName, check_runner, runner_of
from sweeps.ledger import Ledger, Rows
from sweeps.mirror import MirrorProcess, tracking_warnings
from sweeps.packs.pack import PackSettings
from sweeps.region.labels import attacked_classes
from sweeps.region.write import write_region
from sweeps.results.create import create_results, reopen, store_spec
from sweeps.results.data_read import data_read
from sweeps.results.extend import extend_results
from sweeps.results.in_use import holds_sweep, refuse_folder_in_use
from sweeps.results.outdated_trials import outdated_trials
from sweeps.runners import Runner
from sweeps.scheduling.loop import Observer, SweepOutcome, run_search
from sweeps.scheduling.reuse import check_reusable, open_pool
from sweeps.search import make_search
from sweeps.spec import SweepSpec, load_spec
from sweeps.storage.files import locked
from sweeps.storage.leftovers import clear_leftovers
from sweeps.storage.named_places import named_place
from sweeps.storage.paths import SweepPaths, open_results, read_sweep
from sweeps.storage.shell import command


def run_sweep(
    spec: SweepSpec | Mapping[str, Any] | Path | str,
    out: Path | str | None = None,
    runner: RunnerName | Runner = "tune",
    quiet: bool = False,
    reuse: Sequence[Path | str] = (),
) -> SweepOutcome:
    """Trains what a question asks for, keeps every result, and says where the region is.

    Example:
        outcome = run_sweep("digits", out="results/digits", runner="serial")
        outcome.finished, read_region(outcome.folder)["recommended"]

    Trials go to the ledger in `out` as they end, and to MLflow unless the spec says `tracking:
    none`; region.json is written at the end. The first Ctrl-C lets running trials end, the second
    stops at once; `outcome.interrupted` is then true, and `resume_sweep` goes on from there.

    Args:
        spec: a question: what `load_spec` returns or accepts.
        out: the results folder, new or empty; by default results/NAME.
        runner: `tune` is Ray Tune, on the cluster at $RAY_ADDRESS if set, else on this machine;
            `serial` is this process. Or a runner, such as `ReplayRunner`.
        quiet: without progress and messages on stderr; warnings stay.
        reuse: results folders of other sweeps, whose finished trials are taken over where id, data,
            engine and its version, and the source code of users' kinds agree.

    Returns:
        Counts of trials, and the folder. Failed trials raise nothing: `sweeps status` says why
        they failed.

    Raises:
        UserError: the spec is wrong, with all mistakes; or the folder holds something.
    """
    given = None if out is None else named_place(out, "out")
    if given is not None and not holds_sweep(given):
        refuse_folder_in_use(given, "out")
    checked = spec if isinstance(spec, SweepSpec) else load_spec(spec)
    check_runner(runner, checked)
    folder = given if given is not None else Path("results") / checked.name
    refuse_folder_in_use(folder, "out", checked)
    check_reusable(reuse, "reuse")
    paths = create_results(checked, folder, ["sweeps.run_sweep"], "out", reuse)
    return _run_to_region(paths, checked, runner, Messages(quiet))


def resume_sweep(
    folder: Path | str, runner: RunnerName | Runner = "tune", quiet: bool = False
) -> SweepOutcome:
    """Goes on with a sweep that was interrupted; what is recorded is not trained again.

    Args:
        folder: its results folder. runner, quiet: as for `run_sweep`.

    Raises:
        UserError: the folder holds no sweep, or its data have changed.
    """
    with holding(open_results(folder)) as lock:
        paths, spec = reopen(folder)
        check_runner(runner, spec)
        return _run_to_region(paths, spec, runner, Messages(quiet), lock)


def extend_sweep(
    folder: Path | str,
    spec: SweepSpec | Mapping[str, Any] | Path | str | None = None,
    changes: Sequence[str] = (),
    runner: RunnerName | Runner = "tune",
    quiet: bool = False,
    reuse: Sequence[Path | str] = (),
) -> SweepOutcome:
    """Asks more of a sweep, and trains exactly what is new: seeds, values, attacks, budget, or
    other thresholds.

    Example:
        extend_sweep("results/digits", changes=["seeds=10", "region.attack_success=0.1"])

    Clean baselines are trained again where they lack a new trigger, and so are trials that were
    stopped as certain by other thresholds.

    Args:
        folder: its results folder.
        spec: the whole question, as `load_spec` takes it; by default the sweep's own.
        changes: `key=value` with a dotted key, as after `--set`.
        runner, quiet, reuse: as for `run_sweep`.

    Raises:
        UserError: the question is wrong, or no extension; then with everything that differs.
    """
    check_reusable(reuse, "reuse")
    source = spec.document if isinstance(spec, SweepSpec) else spec
    messages = Messages(quiet)
    with holding(open_results(folder)) as lock:
        paths, extended, found = extend_results(
            folder,
            source,
            changes,
            ["sweeps.extend_sweep"],
            reuse,
            lambda spec: check_runner(runner, spec),
        )
        messages.say_added(found.added)
        return _run_to_region(paths, extended, runner, messages, lock)


def holding(paths: SweepPaths) -> ExitStack:
    """The lock of a results folder, held until the stack is closed.

    A command holds it from before it reads the spec until it has answered: what it does is then
    what the folder asks, whoever extends it meanwhile.
    """
    stack = ExitStack()
    stack.enter_context(locked(paths.lock))
    return stack


def _run_to_region(
    paths: SweepPaths,
    spec: SweepSpec,
    runner: RunnerName | Runner,
    messages: Messages,
    lock: ExitStack | None = None,
) -> SweepOutcome:
    def answer(outcome: SweepOutcome, ledger: Ledger) -> None:
        write_region(paths, spec, ledger)

    return execute(paths, spec, runner, messages, answer, lock=lock)[0]


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
    backlog is waited for. ends_process: whether a second signal may end this process, where it
    would take long otherwise. lock: holds the folder's lock since the spec was read, if it was read
    from the folder; it is released when the answer is there.
    """
    mirror = MirrorProcess(paths, uri=None if spec.tracking is None else spec.tracking.uri)
    with lock or holding(paths):
        clear_leftovers(paths)
        store_spec(paths, spec)
        ledger = Ledger(paths.ledger)
        ledger.outdated = outdated_trials(ledger, read_sweep(paths))
        told = _Interrupted(paths, ledger, messages)
        try:
            with ends_soon(told.tell) if ends_process else nullcontext():
                outcome, at_once = _train(paths, spec, ledger, runner, messages, mirror)
        except BaseException:
            leave_mirror(mirror, paths, messages)
            raise
        if not outcome.interrupted:
            mirror.end()
            try:
                answer(outcome, ledger)
            except BaseException:
                mirror.stop()
                raise
    if outcome.interrupted:
        told.tell()
        leave_mirror(mirror, paths, messages, at_once)
        return outcome, ledger
    wait_for_mirror(mirror, paths, messages)
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
    messages.say_data(data_read(spec))
    messages.say_outdated(len(ledger.outdated))
    for folder in gone:
        messages.warn(f"warning: trials are not taken over: {folder}")
    if named := attacked_classes(spec.panel, sweep["class_names"], spec.document["attack"]):
        say(named)
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
    try:
        chosen = runner_of(runner, spec, ledger)
        outcome = run_search(spec, ledger, search, chosen, observers, lambda: say(STOPPING), pool)
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

    def __init__(self, paths: SweepPaths, ledger: Ledger, messages: Messages) -> None:
        self.paths, self.ledger, self.messages = paths, ledger, messages
        self._told = False

    def tell(self) -> None:
        if not self._told:
            self._told = True
            recorded = len(self.ledger.ended)
            are = "trial is" if recorded == 1 else "trials are"
            again = command("sweeps", "resume", self.paths.root)
            self.messages.say(f"Interrupted: {recorded} {are} recorded. Go on with: {again}")


class _Notify:
    """Wakes the mirror when rows have become durable."""

    def __init__(self, mirror: MirrorProcess) -> None:
        self.mirror = mirror

    def recorded(self, rows: Rows) -> None:
        self.mirror.notify()
