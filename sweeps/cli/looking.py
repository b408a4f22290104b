"""Commands that read a results folder: `status show region report mirror export`."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from backdoor.errors import Mistake, UserError
from sweeps.cli.console import FINE, counted, say, terminal_width
from sweeps.cli.console import show as show_text

if TYPE_CHECKING:
    from sweeps.ledger.probe_results import ProbeSummary
    from sweeps.records.trial_row import TrialRow

#: Names of figures in words, where they are not those of the keys.
SHOWN_AS = {"foretold": "predicted verdicts"}


class Cost(TypedDict):
    """What recorded trials took. Seconds and hours are sums over trials; peak_memory: bytes, the
    most of any pack, None where no row says it."""

    worker_seconds: float
    train_seconds: float
    trained_images: int
    cpu_hours: float
    gpu_hours: float
    peak_memory: int | None


class StatusAnswer(Cost):
    """What `sweeps status --json` prints. Trials by how they ended; planned: in all, at most where
    the search is adaptive; foretold: those with a verdict predicted before their end. failures:
    cause to its trials, the most frequent first. studies: by kind of probe."""

    name: str
    planned: int
    finished: int
    stopped: int
    failed: int
    foretold: int
    failures: dict[str | None, int]
    collapsed: int
    diverged: int
    studies: dict[str, ProbeSummary]


def status(args: argparse.Namespace) -> int:
    """Say how far a sweep is, and what failed."""
    from sweeps.ledger import FAILED, Ledger
    from sweeps.storage.paths import open_results, read_sweep

    paths = open_results(args.dir)
    sweep, ledger = read_sweep(paths), Ledger(paths.ledger)
    trials = ledger.trials()
    causes = Counter(trial.error for trial in trials if trial.status == FAILED)
    answer: StatusAnswer = {
        "name": sweep["name"],
        "planned": sweep["planned"],
        "finished": len(ledger.finished),
        "stopped": len(ledger.stopped),
        "failed": len(ledger.failed),
        "foretold": sum(trial.predicted is not None for trial in trials),
        "failures": dict(causes.most_common()),
        "collapsed": sum(trial.collapsed for trial in trials),
        "diverged": sum(trial.diverged for trial in trials),
        **_cost(trials),
        "studies": (probed := ledger.probe_results.summary()),
    }
    if args.json:
        print(json.dumps(answer))
        return FINE
    for name, value in answer.items():
        if name not in ("failures", "studies"):
            print(f"{SHOWN_AS.get(name, name.replace('_', ' ')):18} {_with_unit(name, value)}")
    for cause, count in causes.most_common():
        print(f"  {count} x {cause}")
    for kind, found in probed.items():
        counts = f"{found['found']} results, {found['nothing']} not applicable"
        print(f"probe {kind:12} {counts}, {sum(found['failures'].values())} failed")
        for cause, count in found["failures"].items():
            print(f"  {count} x {cause}")
    return FINE


def _with_unit(name: str, value: Any) -> str:
    if name == "peak_memory":
        return "unknown" if value is None else f"{value / 2**30:.2f} GiB"
    return str(value)


def _cost(trials: Sequence[TrialRow]) -> Cost:
    """What the recorded trials took. Rows of older releases do not say all of it."""
    cpu_hours = sum((trial.seconds or 0) * (trial.cpus or 0) for trial in trials) / 3600
    gpu_hours = sum((trial.seconds or 0) * (trial.gpus or 0) for trial in trials) / 3600
    peaks = [trial.peak_memory for trial in trials if trial.peak_memory]
    return {
        "worker_seconds": round(sum(trial.seconds or 0 for trial in trials), 1),
        "train_seconds": round(sum(trial.train_seconds or 0 for trial in trials), 1),
        "trained_images": sum(trial.trained_images or 0 for trial in trials),
        "cpu_hours": round(cpu_hours, 4),
        "gpu_hours": round(gpu_hours, 4),
        "peak_memory": max(peaks, default=None),
    }


def show(args: argparse.Namespace) -> int:
    """Print one trial, whole, with what probes found."""
    from sweeps.ledger import Ledger
    from sweeps.storage.paths import open_results

    ledger = Ledger(open_results(args.dir).ledger)
    trials = ledger.trials()
    found = [trial.trial_id for trial in trials if trial.trial_id.startswith(args.trial)]
    if len(found) != 1:
        rule = "must be the beginning of exactly one recorded trial's id"
        remedy = f"{len(found)} trials match; {_other_ids(trials, args.trial)}"
        raise UserError(Mistake("TRIAL", rule, args.trial, remedy))
    row = next(row for row in ledger.rows() if row["trial_id"] == found[0])  # nulls as stored
    probed = [row.plain() for row in ledger.probe_results.rows(found[0])]
    print(json.dumps(row | ({"studies": probed} if probed else {}), indent=2))
    return FINE


def _other_ids(trials: Sequence[TrialRow], given: str) -> str:
    """Where to find trials' ids; the ids of a defence point's trials, where a point is given."""
    of_point = [trial.trial_id[:8] for trial in trials if trial.defence_id.startswith(given)]
    if not of_point or not given:
        return "`sweeps export DIR --csv FILE` lists all ids."
    more = f" and {len(of_point) - 3} more" if len(of_point) > 3 else ""
    return f"that defence point has the trials {', '.join(of_point[:3])}{more}."


def region(args: argparse.Namespace) -> int:
    """Say where accuracy is high and every attack fails."""
    from sweeps.region.region_text import region_text
    from sweeps.results.update_region import update_region
    from sweeps.storage.paths import open_results

    answer = update_region(open_results(args.dir), say=say)
    if args.json:
        print(json.dumps(answer))
    else:
        show_text(region_text(answer, terminal_width()))
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
    print(write_report(paths.root, output, ledger, region))
    return FINE


def mirror(args: argparse.Namespace) -> int:
    """Write to MLflow what it lacks."""
    from sweeps.mirror import mirror as mirror_now
    from sweeps.mirror import moved_store, tracking_uri, ui_command
    from sweeps.storage.paths import open_results, read_sweep
    from sweeps.storage.tracking_uri import checked_uri

    paths = open_results(args.dir)
    sweep = read_sweep(paths)
    if args.uri is not None:
        uri = checked_uri(args.uri, "--uri", "For example --uri sqlite:///mlflow.db.")
    elif sweep["tracking"]["uri"]:
        uri = tracking_uri(sweep, paths)
        if note := moved_store(sweep, paths):
            say(f"note: {note}")
    else:
        rule, remedy = (
            "must be given: the sweep ran with tracking off",
            "For example --uri sqlite:///mlflow.db.",
        )
        raise UserError(Mistake("--uri", rule, None, remedy))
    done = mirror_now(paths, uri)
    written = counted(done.created, "run")
    print(f"{written} written, {done.repaired} repaired, {done.present} already there")
    say(f"MLflow: {ui_command(uri)}")
    return FINE


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
        say(f"{counted(table.num_rows, 'row')} written to {file}")
    return FINE
