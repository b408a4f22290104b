"""`sweeps run` and `sweeps resume`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from backdoor.errors import Mistake, UserError
from sweeps.cli.console import FAILURES, FINE, INTERRUPTED, say
from sweeps.storage.shell import command

if TYPE_CHECKING:
    from sweeps.ledger import Ledger, Rows
    from sweeps.mirror import MirrorProcess
    from sweeps.runners import Runner
    from sweeps.scheduling.loop import Observer, SweepOutcome
    from sweeps.spec import SweepSpec
    from sweeps.storage.paths import SweepPaths


def run(args: argparse.Namespace) -> int:
    """Run a sweep and say where the region is."""
    from sweeps.results.create import create_results, refuse_folder_in_use
    from sweeps.spec import load_spec

    if args.out is not None:
        refuse_folder_in_use(Path(args.out))
    spec = load_spec(args.spec, args.set)
    _check_runner(args.runner, spec)
    folder = Path(args.out) if args.out is not None else Path("results") / spec.name
    paths = create_results(spec, folder, ["sweeps", *sys.argv[1:]])
    return _execute(paths, spec, args)


def resume(args: argparse.Namespace) -> int:
    """Go on with a sweep that was stopped."""
    from sweeps.results.add_probes import ask_probes
    from sweeps.results.create import reopen

    if args.probes is not None:
        ask_probes(args.dir, args.probes)
    paths, spec = reopen(args.dir)
    _check_runner(args.runner, spec)
    return _execute(paths, spec, args)


def _check_runner(name: str, spec: SweepSpec) -> None:
    """Ray Tune stops trials; without it all would run to their end, and nobody would notice."""
    if spec.stopped_by_tune and name != "tune":
        rule = "must be `tune` for `stopping: asha` or `median`: Ray Tune stops the trials"
        raise UserError(Mistake("--runner", rule, name, "Use --runner tune."))


def _execute(paths: SweepPaths, spec: SweepSpec, args: argparse.Namespace) -> int:
    from sweeps.cli.progress import Progress
    from sweeps.ledger import Ledger
    from sweeps.mirror import MirrorProcess
    from sweeps.scheduling.loop import run_sweep
    from sweeps.search import make_search
    from sweeps.storage.files import locked
    from sweeps.storage.paths import read_sweep

    sweep = read_sweep(paths)
    again = command("sweeps", "resume", paths.root)
    with locked(paths.lock):
        ledger = Ledger(paths.ledger)
        recorded = len(ledger.ended)
        progress = Progress(sweep["planned"], recorded)
        have = f"{sweep['planned']} trials, {recorded} recorded"
        say(f"{spec.name}: {have}, in {paths.root}")
        if args.runner == "tune" and recorded < sweep["planned"]:
            say("starting Ray ...")
        mirror = MirrorProcess(paths) if sweep["tracking"]["uri"] else None
        observers: list[Observer] = [progress]
        if mirror is not None:
            mirror.start()
            observers.append(_Notify(mirror))
        try:
            runner, search = runner_of(args.runner, spec, ledger), make_search(spec)
            outcome = run_sweep(spec, ledger, search, runner, observers, say_stopping)
        except KeyboardInterrupt:
            outcome = None
        finally:
            progress.show(last=True)
            ledger.compact()
            warning = _finish(mirror, paths) if mirror is not None else None
        if warning:
            say(f"warning: {warning}")
    if outcome is None or outcome.interrupted:
        say(f"Interrupted: {len(ledger.ended)} trials are recorded. Go on with: {again}")
        return INTERRUPTED
    return _conclude(paths, spec, args, ledger, outcome)


class _Notify:
    """Wakes the mirror when rows have become durable."""

    def __init__(self, mirror: MirrorProcess) -> None:
        self.mirror = mirror

    def recorded(self, rows: Rows) -> None:
        self.mirror.notify()


def _finish(mirror: MirrorProcess, paths: SweepPaths) -> str | None:
    """Lets the mirror catch up; Ctrl-C leaves that for later."""
    try:
        return mirror.finish(_show_backlog)
    except KeyboardInterrupt:
        return f"MLflow is not complete; `{command('sweeps', 'mirror', paths.root)}` sends the rest"


def _show_backlog(done: int, total: int) -> None:
    say(f"mirroring to MLflow: {done}/{total}")


def say_stopping() -> None:
    """Says what a first Ctrl-C does."""
    say("\nStopping: running packs end first. Ctrl-C again stops at once.")


def runner_of(name: str, spec: SweepSpec, ledger: Ledger) -> Runner:
    """The runner of that name for a sweep's packs."""
    if name == "serial":
        from sweeps.runners.serial import SerialRunner

        return SerialRunner()
    from sweeps.runners.tune import TuneRunner

    past = None if spec.stopping is None else ledger.table()
    return TuneRunner(spec.resources.cpu, spec.resources.gpu, stopping=spec.stopping, past=past)


def _conclude(
    paths: SweepPaths,
    spec: SweepSpec,
    args: argparse.Namespace,
    ledger: Ledger,
    outcome: SweepOutcome,
) -> int:
    """Region, report and what to do next, after a sweep that has ended."""
    from dashboards.report import write_map, write_report
    from sweeps.mirror import ui_command
    from sweeps.region.region_text import region_text
    from sweeps.region.write import write_region
    from sweeps.storage.paths import read_sweep

    region = write_region(paths, spec, ledger)
    report = write_report(paths.root, ledger=ledger)
    write_map(paths.root, paths.map)
    print(json.dumps(region) if args.json else region_text(region))
    uri = read_sweep(paths)["tracking"]["uri"]
    say(f"\nReport: {report}")
    if uri:
        say(f"MLflow: {ui_command(uri)}")
    failed, unprobed = outcome.failed, outcome.unprobed
    for count, what in ((failed, "trials failed"), (unprobed, "trials lack a probe result")):
        if count:
            say(f"{count} {what}: `{command('sweeps', 'status', paths.root)}` says why.")
    return FAILURES if failed or unprobed else FINE
