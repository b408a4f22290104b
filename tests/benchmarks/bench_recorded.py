"""Recorded grids replayed: are the safe cells found from 60 of 250 trainings?

make bench-recorded RECORDED=DIR [SEEDS=10]: one line for each file, JSON beside it, exit code 1 where a
goal is missed. Safe: mean clean accuracy within 0.03 of the best cell's, and mean backdoor accuracy
of at most 0.25, over the recorded seeds.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from figures import record
from region.finite import replayed
from region.means import mean_probability
from region.recorded import read

from sweeps.levelset.membership import IN, labels
from sweeps.records.thresholds import Thresholds

BELOW_BEST, SUCCESS, DANGER = 0.03, 0.25, 0.5
SHARE, RANDOM_SHARE = 60 / 250, 83 / 250
MANY, REQUIRED_F1 = 8, 0.9


def f1(found, truth):
    """1 where there is nothing to find and nothing is found."""
    total = found.sum() + truth.sum()
    return 2 * (found & truth).sum() / total if total else 1.0


def searched(file, seed, batch, **settings):
    """(cells that are answered as safe, cells that were IN too early) after a share of the rows."""
    thresholds, bold = Thresholds(attack_success=SUCCESS, below_best=BELOW_BEST), set()
    budget = round(SHARE * file.rows)
    for search in replayed(
        file.table, thresholds, seed, budget, batch, f1=2.0, undecided=-1.0, **settings
    ):
        if search.trials_known < min(search.enough, budget):
            continue
        inside = mean_probability(search, file.table, SUCCESS, BELOW_BEST)
        called = labels(inside, search.settings.confidence) == IN
        bold |= set(np.flatnonzero(called & (file.success > DANGER)).tolist())
    return inside >= 0.5, called, bold


def by_random_rows(file, seed):
    """What plain means over randomly chosen rows say; cells without a row have no answer."""
    rng, table = np.random.default_rng(seed), file.table
    seen = np.zeros(table.correct.size, dtype=bool)
    seen[rng.permutation(len(seen))[: round(RANDOM_SHARE * len(seen))]] = True
    seen = seen.reshape(table.correct.shape)
    count = seen.sum(axis=(1, 2))
    means = [
        np.where(count > 0, (hits / total * seen).sum(axis=(1, 2)) / np.maximum(count, 1), np.nan)
        for hits, total in ((table.correct, table.images), (table.success, table.triggered))
    ]
    return (means[0] >= np.nanmax(means[0]) - BELOW_BEST) & (means[1] <= SUCCESS)


def judge(path, seeds, batch, **settings):
    file = read(path)
    truth = (file.clean >= file.clean.max() - BELOW_BEST) & (file.success <= SUCCESS)
    found = [searched(file, seed, batch, **settings) for seed in range(seeds)]
    plain = [by_random_rows(file, seed) for seed in range(seeds * 20)]
    scores = [f1(cells, truth) for cells, _, _ in found]
    wrong = [int((cells & ~truth).sum()) for cells, _, _ in found]
    bold = sum(len(b) for _, _, b in found)
    many = truth.sum() >= MANY
    called = sum(int(c.sum()) for _, c, _ in found)
    return {
        "file": path.name, "learner": file.learner, "pair": file.pair, "trigger": file.size,
        "cells": len(truth), "cells_left_out": file.left_out, "rows": file.rows, "trained": round(SHARE * file.rows), "safe": int(truth.sum()),
        "f1": quartiles(scores), "wrong_cells": quartiles(wrong),
        "missed_cells": quartiles([int((truth & ~cells).sum()) for cells, _, _ in found]),
        "in_cells": called / seeds,
        "in_precision": sum(int((c & truth).sum()) for _, c, _ in found) / called if called else None,
        "in_above_half": bold,
        "random_f1": quartiles([f1(cells, truth) for cells in plain]),
        "random_wrong_above_half": float(np.mean([bool((cells & (file.success > DANGER)).any()) for cells in plain])),
        "search_wrong_above_half": float(np.mean([bool((cells & (file.success > DANGER)).any()) for cells, _, _ in found])),
        "goals": {"f1": bool(not many or np.median(scores) >= REQUIRED_F1), "never above half": bold == 0},
    }  # fmt: skip


def quartiles(values):
    return [round(float(q), 3) for q in np.quantile(values, (0.25, 0.5, 0.75))]


def line(row):
    score, wrong, plain = row["f1"], row["wrong_cells"], row["random_f1"]
    verdict = (
        "ok"
        if all(row["goals"].values())
        else "MISSED " + ", ".join(g for g, ok in row["goals"].items() if not ok)
    )
    precision = "-" if row["in_precision"] is None else f"{row['in_precision']:.3f}"
    return (
        f"{row['file'][:48]:48} {row['safe']:2}/{row['cells']:2} safe, {row['trained']:2} of {row['rows']:3} rows: "
        f"F1 {score[1]:.2f} ({score[0]:.2f}-{score[2]:.2f}), wrong {wrong[1]:.0f} ({wrong[0]:.0f}-{wrong[2]:.0f}), "
        f"IN {row['in_cells']:4.1f} at {precision}, {row['in_above_half']} above 0.5 | random 83/250: "
        f"F1 {plain[1]:.2f} ({plain[0]:.2f}-{plain[2]:.2f}), above 0.5 in {row['random_wrong_above_half']:.0%} | {verdict}"
    )


def figures_of(row):
    """A line of the table in FIGURES.md: medians over the seeds."""
    missed = [name for name, met in row["goals"].items() if not met]
    return {
        "file": row["file"], "rows": row["rows"], "trained": row["trained"], "cells": row["cells"],
        "safe cells": row["safe"], "F1": row["f1"][1], "wrong cells": row["wrong_cells"][1],
        "IN above 0.5": row["in_above_half"], "F1 of random rows": row["random_f1"][1],
        "verdict": f"MISSED {', '.join(missed)}" if missed else "met",
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--out", type=Path, default=Path("build/bench-recorded.json"))
    args = parser.parse_args()
    paths = sorted(args.folder.glob("*.csv"))
    rows = []
    for path in paths:
        try:
            rows.append(judge(path, args.seeds, args.batch))
            print(line(rows[-1]), flush=True)
        except ValueError as error:
            print(f"left out: {error}", flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(rows, indent=1) + "\n")
    missed = [row["file"] for row in rows if not all(row["goals"].values())]
    summary = f"{len(rows) - len(missed)} of {len(rows)} files reach the goals"
    print(summary)
    record(
        "recorded grids",
        "make bench-recorded RECORDED=DIR",
        [figures_of(row) for row in rows],
        summary,
    )
    return 1 if missed or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
