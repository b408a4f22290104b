"""Trials to a level of IoU: this search against full grids, Sobol and TPE, and how honest it is."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
from region.baselines import (
    as_trials,
    by_surrogate,
    grid_iou,
    grid_sizes,
    iou,
    sobol_trials,
    tpe_trials,
)
from region.looks import EVEN, reach, run
from region.map import CEILING, Map, compute
from region.problems import mixed, plane, relative, with_best

LEVELS = (0.80, 0.85)
PROBLEMS = {  # problem of a run, trials, batch
    "a": (lambda seed: with_best(plane()), 160, 6),
    "b": (lambda seed: with_best(mixed()), 216, 8),
    "best": (lambda seed: relative(plane()), 160, 6),
    "digits": (Map, 240, 6),
}
CHECKS = (
    24,
    30,
    36,
    42,
    48,
    56,
    64,
    72,
    84,
    96,
    108,
    124,
    140,
    160,
    184,
    208,
    236,
    268,
    300,
    340,
    390,
    440,
    500,
    570,
)
#: Grids of more rows than this are interpolated only: it would take minutes to model them.
MOST_MODEL_ROWS = 2500
#: So many times more runs of the search itself: the points of a run err together, so that few runs
#: tell little of how reliable probabilities are.
MORE = 6


def problem_of(name, seed=0):
    return PROBLEMS[name][0](seed)


def _ours(job):
    name, seed = job
    _, budget, batch = PROBLEMS[name]
    # Stopping is switched off: how IoU grows with trials is what is measured.
    looks, chances, _ = run(problem_of(name, seed), seed, budget, batch, f1=2.0, undecided=-1.0)
    return looks, chances


def _other(job):
    name, method, seed = job
    problem = problem_of(name, seed)
    width = len(problem.panel)
    even, truth = problem.even[:EVEN], problem.truth[:EVEN]
    if method == "sobol":
        points, attacks = sobol_trials(problem, CHECKS[-1], seed)
        outcomes = problem.train(points, attacks, np.random.default_rng(seed))
    else:
        points, attacks, outcomes = tpe_trials(problem, CHECKS[-1] - CHECKS[-1] % width, seed)
    found, count = [], 0
    for count in CHECKS:
        trials = as_trials(problem, points[:count], attacks[:count], outcomes[:count])
        found.append((count, iou(by_surrogate(problem, trials, even), truth)))
        if reach(found, LEVELS[-1]) < np.inf:
            break
    return found


def _grid(job):
    name, steps, seeds, seed, model_answer = job
    problem = problem_of(name, seed)
    return grid_iou(
        problem,
        steps,
        seeds,
        np.random.default_rng(seed),
        problem.even[:EVEN],
        problem.truth[:EVEN],
        MOST_MODEL_ROWS if model_answer else 0,
    )


def grids(pool, name, seeds, model_answer=True):
    """Threshold → (trials, arrived) of the cheapest full grid with this median IoU, by the better of
    interpolation and the surrogate; unless `model_answer`, by interpolation alone, as users have it."""
    sizes, found = grid_sizes(problem_of(name)), {}
    for trials, steps, repeats in sizes:
        some = pool.map(
            _grid,
            [(name, steps, repeats, s, model_answer) for s in range(min(3, seeds))],
            chunksize=1,
        )
        left = [level for level in LEVELS if level not in found]
        if max(some) < left[0]:
            continue
        some += pool.map(
            _grid, [(name, steps, repeats, s, model_answer) for s in range(3, seeds)], chunksize=1
        )
        found |= {level: (trials, True) for level in left if np.median(some) >= level}
        if len(found) == len(LEVELS):
            break
    return {level: found.get(level, (sizes[-1][0], False)) for level in LEVELS}


def analytic(pool, seeds, say):
    return compared(("a", "b", "best"), pool, seeds, say)


def dense(pool, seeds, say):
    """The map of real trainings, which is computed where it is not there yet."""
    compute()
    report, criteria = compared(("digits",), pool, seeds, say)
    problems = [Map(seed) for seed in range(MORE * seeds)]
    ceiling = float(np.median([problem.ceiling for problem in problems]))
    replayed = Counter(problem.repeats for problem in problems)
    say(f"IoU of what is replayed with the truth, the ceiling (median): {ceiling:.3f}; "
        + ", ".join(f"{n} runs of {k} seeds" for k, n in sorted(replayed.items())))  # fmt: skip
    report["digits"]["ceiling"] = ceiling
    return report, criteria | {"digits: IoU of replay and truth": (ceiling, ceiling >= CEILING)}


def compared(names, pool, seeds, say):
    report, criteria = {}, {}
    for name in names:
        ours = pool.map(_ours, [(name, s) for s in range(MORE * seeds)], chunksize=1)
        others = {
            m: pool.map(_other, [(name, m, s) for s in range(seeds)], chunksize=1)
            for m in ("sobol", "tpe")
        }
        grid = grids(pool, name, seeds)
        truths = [problem_of(name, seed).truth[:EVEN] for seed in range(len(ours))]
        row = {}
        say(
            f"\n{problem_of(name).name}: region {100 * np.mean(truths):.1f} % of the space, {seeds} seeds, {len(ours)} of the search"
        )
        say(
            "trials to IoU       "
            + "".join(f"{f'{level:.2f} (quartiles)':>24}" for level in LEVELS)
        )
        for method, looks in (("region search", [o[:, :2] for o, _ in ours]), *others.items()):
            counts = {level: np.array([reach(look, level) for look in looks]) for level in LEVELS}
            row[method] = {str(level): _quartiles(c) for level, c in counts.items()}
            say(
                f"{method:20}"
                + "".join(f"{_shown(row[method][str(level)]):>24}" for level in LEVELS)
            )
        plain = grids(pool, name, seeds, model_answer=False)
        for method, found in (("full grid", grid), ("grid, no surrogate", plain)):
            row[method] = {str(level): found[level] for level in LEVELS}
            sizes = [("" if arrived else ">= ") + str(n) for n, arrived in found.values()]
            say(f"{method:20}" + "".join(f"{size:>24}" for size in sizes))
        mine = row["region search"]["0.85"][1]
        best = min(row[m]["0.85"][1] or CHECKS[-1] for m in others)
        by_grid, by_best = (grid[0.85][0] / mine, best / mine) if mine else (0.0, 0.0)
        criteria[f"{name}: 10 times fewer than the grid"] = (by_grid, by_grid >= 10)
        criteria[f"{name}: 2.5 times fewer than the best other"] = (by_best, by_best >= 2.5)
        row["honesty"], more = honesty(name, ours, truths, mine, say)
        criteria |= more
        report[name] = row
    return report, criteria


def _quartiles(counts):
    """Lower quartile, median, upper quartile; None where it is infinite."""
    found = np.quantile(counts, (0.25, 0.5, 0.75), method="higher")
    return [None if np.isinf(v) else float(v) for v in found]


def _shown(quartiles):
    low, middle, high = ("never" if v is None else f"{v:.0f}" for v in quartiles)
    return f"{middle} ({low} to {high})"


def honesty(name, ours, truths, budget, say):
    """Precision from the first report on, coverage and reliability at the budget of IoU 0.85."""
    least = [np.nanmin(np.r_[looks[looks[:, -1] == 1, 2], 1.0]) for looks, _ in ours]
    first = [looks[looks[:, -1] == 1][0] for looks, _ in ours]
    at = [int(np.argmin(np.abs(looks[:, 0] - (budget or looks[-1, 0])))) for looks, _ in ours]
    coverage = [looks[i, 3] for (looks, _), i in zip(ours, at, strict=True)]
    inside = np.concatenate([chances[i] for (_, chances), i in zip(ours, at, strict=True)])
    table = reliability(inside, np.concatenate(truths))
    fine = float(np.mean([v >= 0.95 for v in least]))
    off = max((abs(p - f) for p, f, n in table if n >= 50), default=0.0)
    say(
        f"IN from the first report on ({first[0][0]:.0f} trials): lowest precision of each run {_list(least)}"
    )
    say(f"at {budget or 0:.0f} trials: IN covers {np.median(coverage):.2f} (median) of the region; probability → share inside: "
        + ", ".join(f"{p:.2f} → {f:.2f} ({n})" for p, f, n in table))  # fmt: skip
    return (
        {"lowest_precision": least, "coverage": coverage, "reliability": table},
        {
            f"{name}: share of runs with IN precision always >= 0.95": (fine, fine >= 0.95),
            f"{name}: IN covers 60 % at IoU 0.85": (
                float(np.median(coverage)),
                np.median(coverage) >= 0.6,
            ),
            f"{name}: reliability within 0.1": (off, off <= 0.1),
        },
    )


def reliability(inside, truth):
    """[(mean probability, share truly inside, points)] in five bins between 0.05 and 0.95."""
    edges = np.linspace(0.05, 0.95, 6)
    bins = [(inside >= a) & (inside < b) for a, b in itertools.pairwise(edges)]
    return [
        (float(inside[b].mean()), float(truth[b].mean()), int(b.sum())) for b in bins if b.any()
    ]


def _list(values):
    return " ".join(f"{v:.2f}" for v in values)
