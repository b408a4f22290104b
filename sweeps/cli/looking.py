"""Commands that read a results folder: `status show region report mirror export`."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backdoor.errors import Mistake, UserError
from sweeps.cli.console import FINE, say

if TYPE_CHECKING:
    from sweeps.spec import SweepSpec
    from sweeps.storage.paths import SweepPaths


def status(args: argparse.Namespace) -> int:
    """Say how far a sweep is, and what failed."""
    from sweeps.ledger import FAILED, Ledger
    from sweeps.storage.paths import open_results, read_sweep

    paths = open_results(args.dir)
    sweep, ledger = read_sweep(paths), Ledger(paths.ledger)
    rows = ledger.rows()
    causes = Counter(row["error"] for row in rows if row["status"] == FAILED)
    answer = {
        "name": sweep["name"],
        "planned": sweep["planned"],
        "finished": len(ledger.finished),
        "stopped": len(ledger.stopped),
        "failed": len(ledger.failed),
        "foretold": sum(row["foretold"] is not None for row in rows),
        "failures": dict(causes.most_common()),
        "collapsed": sum(bool(row["collapsed"]) for row in rows),
        "diverged": sum(bool(row["diverged"]) for row in rows),
        **_cost(rows),
        "studies": (studies := ledger.studies.summary()),
    }
    if args.json:
        print(json.dumps(answer))
        return FINE
    for name, value in answer.items():
        if name not in ("failures", "studies"):
            print(f"{name.replace('_', ' '):15} {_with_unit(name, value)}")
    for cause, count in causes.most_common():
        print(f"  {count} x {cause}")
    for kind, found in studies.items():
        counts = f"{found['found']} found, {found['nothing']} not suited"
        print(f"probe {kind:9} {counts}, {sum(found['failures'].values())} failed")
        for cause, count in found["failures"].items():
            print(f"  {count} x {cause}")
    return FINE


def _with_unit(name: str, value: Any) -> str:
    if name == "peak_memory":
        return "unknown" if value is None else f"{value / 2**30:.2f} GiB"
    return str(value)


def _cost(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What the recorded trials took. Rows of older releases do not say all of it."""

    def held(unit: str) -> float:
        return sum((row["seconds"] or 0) * (row[unit] or 0) for row in rows) / 3600

    peaks = [row["peak_memory"] for row in rows if row["peak_memory"]]
    return {
        "worker_seconds": round(sum(row["seconds"] or 0 for row in rows), 1),
        "train_seconds": round(sum(row["train_seconds"] or 0 for row in rows), 1),
        "trained_images": sum(row["trained_images"] or 0 for row in rows),
        "cpu_hours": round(held("cpus"), 4),
        "gpu_hours": round(held("gpus"), 4),
        "peak_memory": max(peaks, default=None),
    }


def show(args: argparse.Namespace) -> int:
    """Print one trial, whole, with what probes found."""
    from sweeps.ledger import Ledger, plain_probe_results
    from sweeps.storage.paths import open_results

    ledger = Ledger(open_results(args.dir).ledger)
    rows = ledger.rows()
    found = [row for row in rows if row["trial_id"].startswith(args.trial)]
    if len(found) != 1:
        rule = "must be the beginning of exactly one recorded trial's id"
        remedy = f"{len(found)} trials match; {_other_ids(rows, args.trial)}"
        raise UserError(Mistake("TRIAL", rule, args.trial, remedy))
    studies = plain_probe_results(ledger.studies, found[0]["trial_id"])
    print(json.dumps(found[0] | ({"studies": studies} if studies else {}), indent=2))
    return FINE


def _other_ids(rows: list[dict[str, Any]], given: str) -> str:
    """Where trials' ids are; those of the defence point that begins so, as `region` shows it."""
    of_point = [row["trial_id"][:8] for row in rows if row["defence_id"].startswith(given)]
    if not of_point or not given:
        return "`sweeps export DIR --csv FILE` lists all ids."
    more = f" and {len(of_point) - 3} more" if len(of_point) > 3 else ""
    return f"that defence point has the trials {', '.join(of_point[:3])}{more}."


def region(args: argparse.Namespace) -> int:
    """Say where accuracy is high and every attack fails."""
    from sweeps.region.region_text import region_text
    from sweeps.results.create import read_spec
    from sweeps.storage.paths import open_results

    paths = open_results(args.dir)
    answer = write_region(paths, read_spec(paths))
    print(json.dumps(answer) if args.json else region_text(answer))
    return FINE


def report(args: argparse.Namespace) -> int:
    """Write one self-contained HTML file."""
    from dashboards.report import write_report
    from sweeps.results.create import read_spec
    from sweeps.storage.paths import open_results

    paths = open_results(args.dir)
    write_region(paths, read_spec(paths))
    print(write_report(paths.root, Path(args.output) if args.output else None))
    return FINE


def mirror(args: argparse.Namespace) -> int:
    """Write to MLflow what it lacks."""
    from sweeps.mirror import mirror as mirror_now
    from sweeps.mirror import ui_command
    from sweeps.storage.paths import open_results, read_sweep

    paths = open_results(args.dir)
    uri = args.uri or read_sweep(paths)["tracking"]["uri"]
    if not uri:
        raise UserError(
            Mistake(
                "--uri",
                "must be given: the sweep ran with tracking off",
                None,
                "For example --uri sqlite:///mlflow.db.",
            )
        )
    done = mirror_now(paths, uri)
    print(f"{done.created} runs written, {done.repaired} repaired, {done.present} already there")
    say(f"MLflow: {ui_command(uri)}")
    return FINE


def export(args: argparse.Namespace) -> int:
    """Write the trials, or what probes found, as a flat table."""
    from sweeps.ledger import load_results, write_csv

    if args.csv is None and args.probes is None:
        remedy = "For example --csv trials.csv."
        raise UserError(Mistake("--csv", "or --probes must name the file to write", None, remedy))
    for file, probe in ((args.csv, None), (args.probes, "all")):
        if file is not None:
            table = load_results(args.dir, probe)
            write_csv(table, Path(file))
            say(f"{table.num_rows} rows written to {file}")
    return FINE


def write_region(paths: SweepPaths, spec: SweepSpec) -> dict[str, Any]:
    """Judges what the ledger holds and writes region.json."""
    from sweeps.ledger import Ledger
    from sweeps.region.point_table import region_of
    from sweeps.storage.files import write_json
    from sweeps.storage.paths import read_sweep

    sweep = read_sweep(paths)
    region = region_of(spec, Ledger(paths.ledger), sweep["planned"])
    if spec.search.kind == "region":
        from sweeps.region.model_region import model_answer
        from sweeps.region.model_text import model_text

        region["model"] = model_answer(spec, Ledger(paths.ledger))
        if region["model"] is not None:
            region["model"]["text"] = model_text(region)
    region["class_names"] = sweep["class_names"]
    write_json(paths.region, region)
    return region
