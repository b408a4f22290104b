"""Commands that read a results folder: `region report mirror export`."""

from __future__ import annotations

import argparse
import contextlib
import json
from pathlib import Path

from backdoor.errors import Mistake, UserError, escaped
from backdoor.wording import counted
from sweeps.cli.console import FINE, say, show_path, terminal_width
from sweeps.cli.console import show as show_text
from sweeps.cli.status_subject import MIRRORED_ALL


def region(args: argparse.Namespace) -> int:
    """Say where accuracy is high and every attack fails."""
    from sweeps.cli.next_step import next_line
    from sweeps.region.region_text import region_text
    from sweeps.results.update_region import update_region
    from sweeps.storage.paths import open_results

    paths = open_results(args.dir)
    answer = update_region(paths, say=say)
    if args.json:
        print(json.dumps(answer))
        return FINE
    show_text(region_text(answer, terminal_width()))
    say(f"\n{next_line(paths)}")
    return FINE


def report(args: argparse.Namespace) -> int:
    """Write one self-contained HTML file."""
    from dashboards.report import write_report
    from sweeps.ledger import Ledger
    from sweeps.results.update_region import update_region
    from sweeps.storage.named_places import named_place
    from sweeps.storage.paths import open_results

    output = named_place(args.output, "-o") if args.output else None
    paths = open_results(args.dir)
    ledger = Ledger(paths.ledger)
    # As it is read from region.json, which a folder that is read-only may lack.
    region = json.loads(json.dumps(update_region(paths, ledger, say)))
    show_path(write_report(paths.root, output, ledger, region))
    return FINE


def mirror(args: argparse.Namespace) -> int:
    """Write to MLflow what it lacks."""
    from sweeps.mirror import TrackingUnreachable, moved_store, tracking_uri, ui_command
    from sweeps.mirror import mirror as mirror_now
    from sweeps.mirror.tracking_store import elsewhere, other_store
    from sweeps.storage.paths import open_results, read_sweep
    from sweeps.storage.tracking_uri import checked_uri

    paths = open_results(args.dir)
    sweep = read_sweep(paths)
    if args.uri is not None:
        uri = checked_uri(args.uri, "--uri", "For example --uri sqlite:///mlflow.db.")
    elif sweep["tracking"]["uri"]:
        uri = tracking_uri(sweep, paths)
        for note in (moved_store(sweep, paths), other_store(sweep, paths)):
            if note is not None:
                say(f"note: {note}")
    else:
        rule, remedy = (
            "must be given: the sweep ran with tracking off",
            "For example --uri sqlite:///mlflow.db.",
        )
        raise UserError(Mistake("--uri", rule, None, remedy))
    try:
        done = mirror_now(paths, uri)
    except TrackingUnreachable as error:
        fixed = "The first run of this sweep fixed this address. " if args.uri is None else ""
        remedy = f"{fixed}Start the store or repair it, and use the same command again; or send "
        remedy += f"the runs elsewhere: {elsewhere(paths)}"
        raise TrackingUnreachable(uri, error.reason, remedy) from None
    if args.uri is None:
        _note_mirrored(paths.mirror_log)
    written = f"{counted(done.created, 'run')} written"
    print(f"{written}, {done.repaired} repaired, {done.present} already there")
    say(f"MLflow: {ui_command(uri)}")
    return FINE


def _note_mirrored(log: Path) -> None:
    """Ends the log of the mirror that ran beside the sweep: `sweeps status` reads what it lacks."""
    if log.is_file() and not log.is_symlink():
        with contextlib.suppress(OSError), log.open("a", encoding="utf-8") as stream:
            stream.write(f"{MIRRORED_ALL}\n")


def export(args: argparse.Namespace) -> int:
    """Write the trials, or what probes found, as a flat table."""
    from sweeps.ledger import Ledger, load_results, write_csv
    from sweeps.storage.named_places import named_place
    from sweeps.storage.paths import open_results

    if args.csv is None and args.probes is None:
        remedy = "For example --csv trials.csv."
        raise UserError(Mistake("--csv or --probes", "must name the file to write", None, remedy))
    asked = (("--csv", args.csv, None), ("--probes", args.probes, "all"))
    files = [(named_place(file, flag), probe) for flag, file, probe in asked if file is not None]
    ledger = Ledger(open_results(args.dir).ledger)
    for file, probe in files:
        table = load_results(ledger, probe)
        write_csv(table, file)
        say(f"{counted(table.num_rows, 'row')} written to {escaped(str(file))}")
    return FINE
