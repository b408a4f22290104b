"""How often a sweep with a few seeds is certain, and how often it is then wrong, on real trainings.

    OPENBLAS_NUM_THREADS=1 python tests/benchmarks/certain.py [--only digits,mnist-7-1] [--draws 200]
    python tests/benchmarks/certain.py --keep FOLDER FILE

Truth at a point is by the means of all seeds. A point is resolved where the smaller distance of its
means to a threshold is above two of their standard errors; the others are listed. Random subsets of
the seeds are judged as a sweep is: by means, by bounds and by the model of all points.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
from figures import record
from region.seed_truth import HOME, keep, load

from sweeps.region.point_table import IN, best_point, entry_of, least_accuracy
from sweeps.region.seed_model import seed_model

SEEDS = (3, 5, 10)
#: Of the resolved true points, and of the sweeps with a false certain IN: at least, and at most.
FOUND, WRONG = 0.25, 0.07


def true_points(truth):
    """Which points are inside by all seeds, and their distance to the nearer threshold in standard
    errors, (points,) each."""
    points, criteria, _ = truth.points(range(truth.seeds))
    best = best_point(points)
    least = least_accuracy(criteria.thresholds, best)
    inside, distance = [], []
    for point in points:
        own = [_distances(figures, criteria, least) for figures in point.figures.values()]
        inside.append(min(d for each in own for d, _ in each) >= 0)
        distance.append(min((d / max(e, 1e-12) for each in own for d, e in each), key=float))
    return np.array(inside), np.array(distance), points


def _distances(figures, criteria, least):
    """(distance, standard error) of accuracy and of success."""
    clean = np.array([k / n for k, n in figures.clean.values()])
    success = np.array([k / n for k, n in figures.success.values()])
    most = criteria.thresholds.attack_success
    return [(v.mean() * s - t * s, v.std(ddof=1) / np.sqrt(len(v)))
            for v, t, s in ((clean, least, 1), (success, most, -1))]  # fmt: skip


def judged(truth, seeds):
    """Verdicts by means, by bounds and by the model, (3, points) bool whether IN."""
    points, criteria, modes = truth.points(seeds)
    best = best_point(points)
    least = least_accuracy(criteria.thresholds, best)
    entries = [entry_of(p, "", criteria.measures, criteria.thresholds, least) for p in points]
    model = seed_model(points, criteria, modes, best, least)
    verdicts = [model.judgements.get(point.defence_id) for point in points]
    return np.array(
        [
            [entry["by_means"] == IN for entry in entries],
            [entry["by_bounds"] == IN for entry in entries],
            [found is not None and found.verdict == IN for found in verdicts],
        ]
    ), model.entry["used"]


def measured(truth, count, draws):
    """Rows of the table for sweeps of so many seeds."""
    inside, distance, _ = true_points(truth)
    resolved = np.abs(distance) > 2
    good = inside & resolved
    rng = np.random.default_rng([7, count])
    began = time.monotonic()
    found, used = [], 0
    for _ in range(draws):
        verdicts, fits = judged(truth, np.sort(rng.choice(truth.seeds, count, replace=False)))
        found.append(verdicts)
        used += fits
    found, seconds = np.array(found), (time.monotonic() - began) / draws
    rows = []
    for index, name in enumerate(("means", "bounds", "model")):
        own = found[:, index]
        certain = own[:, good].mean() if good.any() else float("nan")
        rows.append(
            {
                "truth": truth.name,
                "seeds": count,
                "by": name,
                "true points certainly IN": f"{certain * good.sum():.2f} of {good.sum()}",
                "share": round(float(certain), 3),
                "sweeps with a false IN": f"{(own & ~inside).any(1).sum()} of {draws}",
                "of resolved points": f"{(own & ~inside & resolved).any(1).sum()}",
                "model used": f"{used} of {draws}" if name == "model" else "",
            }
        )
    return rows, seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = sorted(path.stem for path in HOME.glob("*.parquet"))
    parser.add_argument("--only", default=",".join(names), help="truths, with commas")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)))
    parser.add_argument("--keep", nargs=2, metavar=("FOLDER", "FILE"))
    options = parser.parse_args()
    if options.keep:
        keep(*options.keep)
        return 0
    missed = [name for name in options.only.split(",") if not _reported(name, options)]
    print("missed: " + ", ".join(missed) if missed else "all goals met")
    return int(bool(missed))


def _reported(name, options):
    """Prints and records a truth's table; whether its goals are met by the model with the fewest
    seeds. Where nothing is inside there is nothing to find."""
    truth, rows = load(name), []
    inside, distance, points = true_points(truth)
    unsure, good = np.flatnonzero(np.abs(distance) <= 2), inside & (np.abs(distance) > 2)
    listed = ", ".join(_called(points[i], inside[i], distance[i]) for i in unsure) or "none"
    head = f"{len(points)} points, {truth.seeds} seeds, {inside.sum()} inside, {good.sum()} of them resolved"
    said = f"{name}: {head}; {len(unsure)} not resolved: {listed}"
    print(said[:600], flush=True)
    for count in map(int, options.seeds.split(",")):
        own, seconds = measured(truth, count, options.draws)
        rows += own
        for row in own:
            print("  ".join(f"{key}: {value}" for key, value in row.items()), flush=True)
        print(f"{seconds:.2f} s a sweep", flush=True)
    record(f"certain: {name}", f"make bench-certain ONLY={name}", rows, f"{said}.")
    model = next(row for row in rows if row["by"] == "model")
    return not good.any() or (
        model["share"] >= FOUND
        and int(model["sweeps with a false IN"].split()[0]) <= WRONG * options.draws
    )


def _called(point, inside, distance):
    kept = ("architecture", "weight_decay", "learning_rate")
    named = {name.rpartition(".")[2]: value for name, value in point.factors.items()}
    words = [
        f"{named[n]:g}" if isinstance(named[n], float) else str(named[n])
        for n in kept
        if n in named
    ]
    return f"{' '.join(words)} ({'in' if inside else 'out'}, {distance:.1f})"


if __name__ == "__main__":
    sys.exit(main())
