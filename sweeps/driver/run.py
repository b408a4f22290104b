"""From a question to region.json: the folder, its lock, the ledger, the runner and the mirror."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sweeps.driver.messages import STOPPING, Messages
from sweeps.driver.progress import Progress
from sweeps.driver.runner import RunnerName, check_runner, runner_of
from sweeps.ledger import Ledger, Rows
from sweeps.mirror import MirrorProcess
from sweeps.packs.pack import PackSettings
from sweeps.region.labels import attacked_classes
from sweeps.region.write import write_region
from sweeps.results.create import bring_up_to_date, create_results, reopen
from sweeps.results.data_read import data_read
from sweeps.results.extend import extend_results
from sweeps.results.in_use import holds_sweep, refuse_folder_in_use
from sweeps.results.outdated_trials import outdated_trials
from sweeps.runners import Runner
from sweeps.scheduling.loop import Observer, SweepOutcome, run_search
from sweeps.scheduling.reuse import open_pool
from sweeps.search import make_search
from sweeps.spec import SweepSpec, load_spec
from sweeps.storage.files import locked
from sweeps.storage.paths import SweepPaths, read_sweep
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
    if out is not None and not holds_sweep(Path(out)):
        refuse_folder_in_use(Path(out), "out")
    checked = spec if isinstance(spec, SweepSpec) else load_spec(spec)
    check_runner(runner, checked)
    folder = Path(out) if out is not None else Path("results") / checked.name
    refuse_folder_in_use(folder, "out", checked)
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
    paths, spec = reopen(folder)
    check_runner(runner, spec)
    return _run_to_region(paths, spec, runner, Messages(quiet))


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
    source = spec.document if isinstance(spec, SweepSpec) else spec
    paths, extended, found = extend_results(
        folder,
        source,
        changes,
        ["sweeps.extend_sweep"],
        reuse,
        lambda spec: check_runner(runner, spec),
    )
    messages = Messages(quiet)
    messages.say_added(found.added)
    return _run_to_region(paths, extended, runner, messages)


def _run_to_region(
    paths: SweepPaths, spec: SweepSpec, runner: RunnerName | Runner, messages: Messages
) -> SweepOutcome:
    outcome, ledger = execute(paths, spec, runner, messages)
    if not outcome.interrupted:
        write_region(paths, spec, ledger)
    return outcome


def execute(
    paths: SweepPaths, spec: SweepSpec, runner: RunnerName | Runner, messages: Messages
) -> tuple[SweepOutcome, Ledger]:
    """Trains what the ledger lacks, and mirrors it to MLflow; locked, so that nobody else does."""
    say = messages.say
    with locked(paths.lock):
        bring_up_to_date(paths, spec)
        sweep, ledger = read_sweep(paths), Ledger(paths.ledger)
        ledger.outdated = outdated_trials(ledger, sweep)
        recorded = len(ledger.ended)
        pool, gone = open_pool(paths, PackSettings.of(spec))
        say(f"{spec.name}: {sweep['planned']} trials, {recorded} recorded, in {paths.root}")
        messages.say_data(data_read(spec))
        messages.say_outdated(len(ledger.outdated))
        for folder in gone:
            messages.warn(f"warning: trials are not taken over: {folder}")
        if named := attacked_classes(spec.panel, sweep["class_names"], spec.document["attack"]):
            say(named)
        if runner == "tune" and recorded < sweep["planned"]:
            say("starting Ray ...")
        progress = None if messages.quiet else Progress(sweep["planned"], recorded)
        mirror = MirrorProcess(paths) if sweep["tracking"]["uri"] else None
        observers: list[Observer] = [] if progress is None else [progress]
        if mirror is not None:
            mirror.start()
            observers.append(_Notify(mirror))
        try:
            chosen, search = runner_of(runner, spec, ledger), make_search(spec)
            outcome = run_search(
                spec, ledger, search, chosen, observers, lambda: say(STOPPING), pool
            )
        except KeyboardInterrupt:
            outcome = SweepOutcome.of(ledger, spec, interrupted=True)
        finally:
            if progress is not None:
                progress.show(last=True)
            ledger.compact()
            warning = None if mirror is None else _finish(mirror, paths, messages)
        for taken in pool.sweeps if pool is not None else ():
            say(str(taken))
        if warning:
            messages.warn(f"warning: {warning}")
    if outcome.interrupted:
        again = command("sweeps", "resume", paths.root)
        say(f"Interrupted: {len(ledger.ended)} trials are recorded. Go on with: {again}")
    return outcome, ledger


class _Notify:
    """Wakes the mirror when rows have become durable."""

    def __init__(self, mirror: MirrorProcess) -> None:
        self.mirror = mirror

    def recorded(self, rows: Rows) -> None:
        self.mirror.notify()


def _finish(mirror: MirrorProcess, paths: SweepPaths, messages: Messages) -> str | None:
    """Lets the mirror catch up; Ctrl-C leaves that for later. What it lacks then, in words."""
    try:
        return mirror.finish(lambda done, of: messages.say(f"mirroring to MLflow: {done}/{of}"))
    except KeyboardInterrupt:
        return f"MLflow is not complete; `{command('sweeps', 'mirror', paths.root)}` sends the rest"
