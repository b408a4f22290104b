"""`sweeps run`, `sweeps resume` and `sweeps extend`."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from backdoor.errors import escaped
from backdoor.wording import counted
from sweeps.cli.console import FAILURES, FINE, INTERRUPTED, say, show, terminal_width
from sweeps.storage.shell import command

if TYPE_CHECKING:
    from sweeps.ledger import Ledger
    from sweeps.records.region_file import RegionFile
    from sweeps.scheduling.loop import SweepOutcome
    from sweeps.spec import SweepSpec
    from sweeps.storage.paths import SweepPaths


def run(args: argparse.Namespace) -> int:
    """Run a sweep and say where the region is."""
    from sweeps.driver.runner import check_runner
    from sweeps.results.create import create_results
    from sweeps.results.in_use import holds_sweep, refuse_folder_in_use
    from sweeps.scheduling.reuse import check_reusable
    from sweeps.spec import load_spec
    from sweeps.storage.named_places import named_place

    out = None if args.out is None else named_place(args.out, "--out")
    if out is not None and not holds_sweep(out):
        refuse_folder_in_use(out)
    spec = load_spec(args.spec, args.set)
    check_runner(args.runner, spec, "--runner")
    folder = out if out is not None else Path("results") / spec.name
    again = (args.spec, *(word for change in args.set for word in ("--set", change)))
    again += ("--reuse", *args.reuse) if args.reuse else ()
    options = ("--runner", args.runner) if args.runner != "tune" else ()
    refuse_folder_in_use(folder, "--out", spec, again, options)
    check_reusable(args.reuse)
    for note in spec.notes:
        say(f"note: {note}")
    paths = create_results(spec, folder, ["sweeps", *sys.argv[1:]], reuse=args.reuse)
    return _execute(paths, spec, args)


def resume(args: argparse.Namespace) -> int:
    """Go on with a sweep that was stopped."""
    from sweeps.driver.execute import holding
    from sweeps.driver.runner import check_runner
    from sweeps.results.add_probes import ask_probes
    from sweeps.results.changed_code import check_code
    from sweeps.results.create import reopen
    from sweeps.storage.paths import open_results

    with holding(open_results(args.dir)) as lock:
        code = check_code(open_results(args.dir), args.accept_changed_code)
        if args.probes is not None:
            ask_probes(args.dir, args.probes)
        paths, spec = reopen(args.dir)
        for note in (*spec.notes, *code.notes):
            say(f"note: {note}")
        check_runner(args.runner, spec, "--runner")
        code.record(paths)
        return _execute(paths, spec, args, lock)


def extend(args: argparse.Namespace) -> int:
    """Ask more of a sweep: seeds, values, attacks, budget, other thresholds."""
    from sweeps.driver.execute import holding
    from sweeps.driver.messages import Messages
    from sweeps.driver.runner import check_runner
    from sweeps.results.answer_changes import region_before
    from sweeps.results.changed_code import check_code
    from sweeps.results.extend import extend_results
    from sweeps.scheduling.reuse import check_reusable
    from sweeps.storage.paths import open_results

    check_reusable(args.reuse)
    with holding(open_results(args.dir)) as lock:
        code = check_code(open_results(args.dir), args.accept_changed_code)
        before = region_before(open_results(args.dir))
        paths, spec, found = extend_results(
            args.dir,
            args.spec,
            args.set,
            ["sweeps", *sys.argv[1:]],
            args.reuse,
            lambda spec: check_runner(args.runner, spec, "--runner"),
        )
        code.record(paths)
        for note in code.notes:
            say(f"note: {note}")
        Messages().say_added(found.added, str(paths.spec))
        return _execute(paths, spec, args, lock, before)


def _execute(
    paths: SweepPaths,
    spec: SweepSpec,
    args: argparse.Namespace,
    lock: ExitStack | None = None,
    before: RegionFile | None = None,
) -> int:
    """before: the answer before the sweep was extended, where it was."""
    from sweeps.driver.execute import execute
    from sweeps.driver.hard_stop import ignore_signals
    from sweeps.driver.messages import Messages

    codes = list[int]()

    def answer(outcome: SweepOutcome, ledger: Ledger) -> None:
        codes.append(_conclude(paths, spec, args, ledger, outcome, before))

    messages = Messages()
    try:
        outcome, _ = execute(
            paths, spec, args.runner, messages, answer, ends_process=True, lock=lock
        )
    except KeyboardInterrupt:
        ignore_signals()
        raise
    if codes and not outcome.interrupted:
        return codes[0]
    ignore_signals()
    return INTERRUPTED


def _conclude(
    paths: SweepPaths,
    spec: SweepSpec,
    args: argparse.Namespace,
    ledger: Ledger,
    outcome: SweepOutcome,
    before: RegionFile | None,
) -> int:
    """Region, report and what to do next, after a sweep that has ended."""
    from dashboards.report import write_map, write_report
    from sweeps.answer.write import write_region
    from sweeps.cli.next_step import next_line_at_the_end
    from sweeps.mirror import store_uri, ui_command
    from sweeps.records.failure_text import open_line
    from sweeps.region.region_text import region_text
    from sweeps.results.answer_changes import answer_changes
    from sweeps.storage.paths import read_sweep

    region = write_region(paths, spec, ledger, finished=True)
    report = write_report(paths.root, ledger=ledger)
    write_map(paths.root, paths.map)
    if args.json:
        print(json.dumps(region))
    else:
        show(region_text(region, terminal_width()))
    sys.stdout.flush()
    if changes := answer_changes(before, region):
        say("\n" + "\n".join(escaped(line) for line in changes))
    sweep = read_sweep(paths)
    say(f"\nReport: {escaped(str(report))}")
    if sweep["tracking"]["uri"]:
        say(f"MLflow: {ui_command(store_uri(sweep, paths))}")
    failed, unprobed = outcome.failed, outcome.unprobed
    status = f"`{command('sweeps', 'status', paths.root)}`"
    why = f"{status} says why."
    if failed:
        say(f"{counted(failed, 'trial')} failed: {why}")
    if outcome.open:
        say(open_line(outcome.open, "trial", status))
    if unprobed:
        say(f"{counted(unprobed, 'trial lacks', 'trials lack')} a probe result: {why}")
    say(next_line_at_the_end(paths, ledger, failed + unprobed + outcome.open))
    return FAILURES if failed or unprobed or outcome.open else FINE
