"""How many trainings a region takes: this search against grids, Sobol and TPE, on known truth.

    OPENBLAS_NUM_THREADS=1 python tests/benchmarks/bench_region.py [--only analytic,map,hard,speed,share,live,timed] [--seeds 10] [--json FILE]

Prints the tables, writes them as JSON, and ends with exit code 1 where a criterion is missed. A method
reaches a level where its IoU is at least that at two checks in a row; a grid's size reaches it where
its median IoU over the seeds does, by the better of linear interpolation and the same surrogate.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from figures import record
from region import live as running
from region import share as target
from region import timed as clock
from region.asking import speed
from region.compared import LEVELS, analytic, dense, grids
from region.hard_rows import hard
from region.map import Map, compute


def share(pool, _seeds, say):
    """The target of 90 % of the seeds: how many new seeds pass at 40 points at the border of IN."""
    spec, search = target.searched()
    points, chance = target.border(search, spec.region.confidence)
    measured = target.rates(pool, spec, target.trials_of(spec, search, points))
    passes = target.passes(measured, search.optimizer.thresholds)
    few = int((passes <= target.FEW).sum())
    say(f"\n90 % target on digits: {len(search.optimizer.points)} trials, then {len(points)} points called IN at the border "
        f"(P {chance.min():.3f} to {chance.max():.3f}) with {target.SEEDS} fresh seeds each\n"
        f"passes of {target.SEEDS}: {sorted(passes.tolist())}; {few} with {target.FEW} or fewer")  # fmt: skip
    report = {
        "trials": len(search.optimizer.points),
        "probability": chance,
        "passes": passes.tolist(),
    }
    return report, {
        "share: points called IN, of 40": (len(points), len(points) == target.POINTS),
        "share: of them with 23 passes of 30 or fewer, at most one": (few, few <= target.ALLOWED),
    }


#: Live runs that are timed, each beside so many trials of the obvious script.
RUNS, PART = 5, 24


def live(_pool, _seeds, say):
    """The bundled search on Ray Tune until its rule stops it, and its verification."""
    with tempfile.TemporaryDirectory() as folder:
        found = running.live(folder)
    say(f"\nlive: {found['trials']} trials in {found['seconds']:.0f} s ({found['without_start']:.0f} s without Ray's start), "
        f"stopped by: {found['stopped_by']}; verify: {found['verdict']} by {found['verify_trials']} trials "
        f"in {found['verify_seconds']:.0f} s")  # fmt: skip
    certain = found["stopped_by"] == "it is certain enough"
    return found, {
        "live: ends by its stopping rule": (certain, certain),
        "live: verify passes": (found["verdict"] == "passed", found["verdict"] == "passed"),
    }


def timed(pool, seeds, say):
    """Time to region: live runs on the dense map's problem, against the cheapest full grid that maps
    it as well, by the obvious script. A run and a part of the script take turns."""
    compute()
    trials, arrived = grids(pool, "digits", seeds)[LEVELS[-1]]
    say(f"\ntime to region, IoU {LEVELS[-1]}: the cheapest full grid has {trials} trials"
        + ("" if arrived else ", and does not arrive"))  # fmt: skip
    runs = []
    for seed in range(RUNS):
        each = running.obvious(PART)
        with tempfile.TemporaryDirectory() as folder:
            found = clock.timed(Map(seed, live=True), folder)
        ratios = [trials * each / s for s in (found.seconds, found.stopped_seconds)]
        say(f"run {seed}: {found.trials:.0f} trials in {found.seconds:.1f} s; stops after {found.stopped_trials} in "
            f"{found.stopped_seconds:.1f} s; obvious script {each:.2f} s a trial, so the grid takes {trials * each:.0f} s: "
            f"{ratios[0]:.0f} times as long, and {ratios[1]:.1f} times as long as until it stops")  # fmt: skip
        runs.append({**vars(found), "obvious_seconds_a_trial": each, "ratios": ratios})
    known, stopped = np.median([run["ratios"] for run in runs], axis=0)
    return {"grid": trials, "arrived": arrived, "runs": runs, "until_it_stops": stopped}, {
        "time to region: 100 times faster than the obvious grid": (known, known >= 100),
    }


PARTS = {
    "speed": speed,
    "analytic": analytic,
    "map": dense,
    "hard": hard,
    "share": share,
    "live": live,
    "timed": timed,
}


def plain(value):
    """Numpy's arrays and numbers for JSON."""
    return value.tolist()


def measured(part, pool, seeds):
    """The report and the criteria of a part, whose lines are printed and recorded."""
    lines = []

    def say(line):
        print(line, flush=True)
        lines.append(line)

    report, criteria = PARTS[part](pool, seeds, say)
    rows = [
        {"goal": name, "value": float(value), "verdict": "met" if met else "MISSED"}
        for name, (value, met) in criteria.items()
    ]
    said = "\n".join(lines).strip()
    record(f"region: {part}", f"make bench-region ONLY={part}", rows, f"```text\n{said}\n```")
    return report, criteria


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", default=",".join(PARTS), help="parts, with commas: " + ", ".join(PARTS)
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--json", default="build/bench-region.json")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    report, criteria = {}, {}
    with get_context("spawn").Pool(options.processes) as pool:
        for part in options.only.split(","):
            report[part], more = measured(part, pool, options.seeds)
            criteria |= more
    print("\ngoals")
    for criterion, (value, met) in criteria.items():
        print(f"  {'met   ' if met else 'MISSED'} {criterion}: {value:.2f}")
    file = Path(options.json)
    file.parent.mkdir(parents=True, exist_ok=True)
    shown = {
        criterion: {"value": float(value), "met": bool(met)}
        for criterion, (value, met) in criteria.items()
    }
    file.write_text(
        json.dumps({"seeds": options.seeds, "goals": shown, **report}, indent=1, default=plain)
    )
    return 0 if all(met for _, met in criteria.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
