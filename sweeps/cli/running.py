"""`sweeps run` and `sweeps resume`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from backdoor.wording import counted
from sweeps.cli.console import FAILURES, FINE, INTERRUPTED, say
from sweeps.storage.shell import command

if TYPE_CHECKING:
    from sweeps.ledger import Ledger
    from sweeps.scheduling.loop import SweepOutcome
    from sweeps.spec import SweepSpec
    from sweeps.storage.paths import SweepPaths


def run(args: argparse.Namespace) -> int:
    """Run a sweep and say where the region is."""
    from sweeps.driver.runner import check_runner
    from sweeps.results.create import create_results, refuse_folder_in_use
    from sweeps.spec import load_spec

    if args.out is not None:
        refuse_folder_in_use(Path(args.out))
    spec = load_spec(args.spec, args.set)
    check_runner(args.runner, spec, "--runner")
    folder = Path(args.out) if args.out is not None else Path("results") / spec.name
    for note in spec.notes:
        say(f"note: {note}")
    paths = create_results(spec, folder, ["sweeps", *sys.argv[1:]])
    return _execute(paths, spec, args)


def resume(args: argparse.Namespace) -> int:
    """Go on with a sweep that was stopped."""
    from sweeps.driver.runner import check_runner
    from sweeps.results.add_probes import ask_probes
    from sweeps.results.create import reopen

    if args.probes is not None:
        ask_probes(args.dir, args.probes)
    paths, spec = reopen(args.dir)
    for note in spec.notes:
        say(f"note: {note}")
    check_runner(args.runner, spec, "--runner")
    return _execute(paths, spec, args)


def _execute(paths: SweepPaths, spec: SweepSpec, args: argparse.Namespace) -> int:
    from sweeps.driver.messages import Messages
    from sweeps.driver.run import execute

    outcome, ledger = execute(paths, spec, args.runner, Messages())
    if outcome.interrupted:
        return INTERRUPTED
    return _conclude(paths, spec, args, ledger, outcome)


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
    why = f"`{command('sweeps', 'status', paths.root)}` says why."
    if failed:
        say(f"{counted(failed, 'trial')} failed: {why}")
    if unprobed:
        say(f"{counted(unprobed, 'trial lacks', 'trials lack')} a probe result: {why}")
    return FAILURES if failed or unprobed else FINE
