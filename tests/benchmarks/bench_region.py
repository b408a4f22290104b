"""How many trainings a region takes: this search against grids, Sobol and TPE, on known truth.

    OPENBLAS_NUM_THREADS=1 python tests/benchmarks/bench_region.py [--only analytic,map,hard,speed,share,live,timed] [--seeds 10] [--json FILE]

Prints the tables, writes them as JSON, and ends with exit code 1 where a goal is missed. A method
reaches a level where its IoU is at least that at two checks in a row; a grid's size reaches it where
its median IoU over the seeds does, by the better of linear interpolation and the same surrogate.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from region import live as running
from region import share as target
from region import timed as clock
from region.baselines import (
    as_trials,
    by_surrogate,
    grid_iou,
    grid_sizes,
    iou,
    sobol_trials,
    tpe_trials,
)
from region.hard import cases
from region.map import CEILING, Map, compute
from region.problems import mixed, plane, relative, with_best

from sweeps.levelset.membership import IN, OUT, UNDECIDED, labels, probability
from sweeps.levelset.search import LevelSetSearch, Settings
from sweeps.levelset.together import cutoff

LEVELS = (0.80, 0.85)
PROBLEMS = {  # problem, trials, batch
    "a": (lambda: with_best(plane()), 160, 6),
    "b": (lambda: with_best(mixed()), 216, 8),
    "best": (lambda: relative(plane()), 160, 6),
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
EVEN, CONFIDENCE = 4096, 0.95
#: So many times more runs of the search itself: the points of a run err together, so that few runs
#: tell little of how reliable probabilities are.
MORE = 3


def run(problem, seed, budget, batch, **settings):
    """One search: [(trials, IoU, IN precision or nan, IN coverage, undecided, OUT wrong, reported)],
    the probabilities at each look, and the search."""
    chosen = Settings(budget=budget, repeats=problem.repeats, seed=seed, **settings)
    search = LevelSetSearch(problem.box, problem.panel, problem.goal, chosen)
    draw = np.random.default_rng(1000 + seed)
    even, truth = problem.even[:EVEN], problem.truth[:EVEN]
    looks, chances = [], []
    while asked := search.ask(batch):
        points = np.array([search.points[i] for i in asked])
        outcomes = problem.train(points, np.array([search.attacks[i] for i in asked]), draw)
        for number, outcome in zip(asked, outcomes, strict=True):
            search.tell(number, outcome)
        if len(search.points) >= min(search.begin, budget):
            inside = probability(model := search.current(), even)
            least = cutoff(model, even, inside, CONFIDENCE)
            found = figures(inside, truth, least)
            looks.append((len(search.points), *found, search.trials_known >= search.enough))
            chances.append(inside.astype(np.float32))
    return np.array(looks, dtype=float), np.array(chances), search


def figures(inside, truth, least):
    """least: of P(inside), to be IN. IoU, IN's precision (nan where nothing is IN), its coverage, UNDECIDED, and IN and OUT that are
    wrong, the last three as fractions of the space."""
    found = labels(inside, CONFIDENCE, least)
    safe = found == IN
    precision = (safe & truth).sum() / safe.sum() if safe.any() else np.nan
    coverage = (safe & truth).sum() / truth.sum() if truth.any() else np.nan
    return (iou(inside >= 0.5, truth), precision, coverage, (found == UNDECIDED).mean(),
            (safe & ~truth).mean(), ((found == OUT) & truth).mean())  # fmt: skip


def reach(looks, level, none=np.inf):
    """The first count at which two looks in a row have the level."""
    for (count, now), (_, after) in itertools.pairwise(looks):
        if now >= level and after >= level:
            return count
    return none


# --- the two analytic problems -------------------------------------------------------------------


def _problem(name):
    return PROBLEMS[name][0]()


def _ours(job):
    name, seed = job
    _, budget, batch = PROBLEMS[name]
    # Stopping is switched off: how IoU grows with trials is what is measured.
    looks, chances, _ = run(_problem(name), seed, budget, batch, f1=2.0, undecided=-1.0)
    return looks, chances


def _other(job):
    name, method, seed = job
    problem, width = _problem(name), len(_problem(name).panel)
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
    name, steps, seeds, seed = job
    problem = _problem(name)
    return grid_iou(
        problem,
        steps,
        seeds,
        np.random.default_rng(seed),
        problem.even[:EVEN],
        problem.truth[:EVEN],
    )


def grids(pool, name, seeds):
    """Level → (trials, arrived) of the cheapest full grid with this median IoU."""
    sizes, found = grid_sizes(_problem(name)), {}
    for trials, steps, repeats in sizes:
        some = pool.map(
            _grid, [(name, steps, repeats, s) for s in range(min(3, seeds))], chunksize=1
        )
        left = [level for level in LEVELS if level not in found]
        if max(some) < left[0]:
            continue
        some += pool.map(_grid, [(name, steps, repeats, s) for s in range(3, seeds)], chunksize=1)
        found |= {level: (trials, True) for level in left if np.median(some) >= level}
        if len(found) == len(LEVELS):
            break
    return {level: found.get(level, (sizes[-1][0], False)) for level in LEVELS}


def analytic(pool, seeds, say):
    return compared(("a", "b", "best"), pool, seeds, say)


def dense(pool, seeds, say):
    """The map of real trainings, which is computed where it is not there yet."""
    compute()
    ceiling = _problem("digits").ceiling
    report, goals = compared(("digits",), pool, seeds, say)
    say(f"IoU of the map's two halves, the ceiling: {ceiling:.3f}")
    halves = {"digits: IoU of the two halves": (ceiling, ceiling >= CEILING)}
    return report | {"ceiling": ceiling}, goals | halves


def compared(names, pool, seeds, say):
    report, goals = {}, {}
    for name in names:
        ours = pool.map(_ours, [(name, s) for s in range(MORE * seeds)], chunksize=1)
        others = {
            m: pool.map(_other, [(name, m, s) for s in range(seeds)], chunksize=1)
            for m in ("sobol", "tpe")
        }
        grid = grids(pool, name, seeds)
        problem, row = _problem(name), {}
        say(
            f"\n{problem.name}: region {100 * problem.truth.mean():.1f} % of the space, {seeds} seeds, {len(ours)} of the search"
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
        row["grid"] = {str(level): grid[level] for level in LEVELS}
        say(
            f"{'full grid':20}"
            + "".join(f"{('' if grid[lv][1] else '>= ') + str(grid[lv][0]):>24}" for lv in LEVELS)
        )
        mine = row["region search"]["0.85"][1]
        best = min(row[m]["0.85"][1] or CHECKS[-1] for m in others)
        by_grid, by_best = (grid[0.85][0] / mine, best / mine) if mine else (0.0, 0.0)
        goals[f"{name}: 10 times fewer than the grid"] = (by_grid, by_grid >= 10)
        goals[f"{name}: 2.5 times fewer than the best other"] = (by_best, by_best >= 2.5)
        row["honesty"], more = honesty(name, ours, problem.truth[:EVEN], mine, say)
        goals |= more
        report[name] = row
    return report, goals


def _quartiles(counts):
    """Lower quartile, median, upper quartile; None where it is infinite."""
    found = np.quantile(counts, (0.25, 0.5, 0.75), method="higher")
    return [None if np.isinf(v) else float(v) for v in found]


def _shown(quartiles):
    low, middle, high = ("never" if v is None else f"{v:.0f}" for v in quartiles)
    return f"{middle} ({low} to {high})"


def honesty(name, ours, truth, budget, say):
    """Precision from the first report on, coverage and reliability at the budget of IoU 0.85."""
    least = [np.nanmin(np.r_[looks[looks[:, -1] == 1, 2], 1.0]) for looks, _ in ours]
    first = [looks[looks[:, -1] == 1][0] for looks, _ in ours]
    at = [int(np.argmin(np.abs(looks[:, 0] - (budget or looks[-1, 0])))) for looks, _ in ours]
    coverage = [looks[i, 3] for (looks, _), i in zip(ours, at, strict=True)]
    inside = np.concatenate([chances[i] for (_, chances), i in zip(ours, at, strict=True)])
    table = reliability(inside, np.tile(truth, len(ours)))
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


# --- hard cases ----------------------------------------------------------------------------------


def _hard(job):
    name, seed = job
    problem, _ = cases()[name]
    looks, _, search = run(problem, seed, 300, 10)
    return looks[looks[:, -1] == 1], len(search.points)


def hard(pool, seeds, say):
    """Never confidently wrong from the first report on, and not undecided beyond the cap at the end."""
    report, goals = {}, {}
    say(
        f"\nhard cases, at most 300 trials, {seeds} seeds: medians at the end, worst over all reports"
    )
    say(
        f"{'':18}{'region':>8}{'trials':>8}{'IoU':>6}{'IN covers':>11}{'undecided':>11}{'cap':>7}{'wrongly IN':>12}{'wrongly OUT':>13}"
    )
    for name, (problem, cap) in cases().items():
        runs = pool.map(_hard, [(name, s) for s in range(seeds)], chunksize=1)
        ends = np.array([looks[-1] for looks, _ in runs])
        wrong = [float(looks[:, 5].max()) for looks, _ in runs]
        missed = [float(looks[:, 6].max()) for looks, _ in runs]
        size = float(problem.truth[:EVEN].mean())
        # Wrong: more than a twentieth of the region's volume, or of the space where that is less.
        allowed = 0.05 * max(size, 0.02)
        right = float(np.mean([w <= allowed for w in wrong]))
        left = float(np.median(ends[:, 4]))
        say(f"{name:18}{size:8.3f}{np.median([n for _, n in runs]):8.0f}{np.median(ends[:, 1]):6.2f}{np.median(ends[:, 3]):11.2f}"
            f"{left:11.3f}{cap:7.2f}{max(wrong):12.4f}{max(missed):13.4f}")  # fmt: skip
        report[name] = {"region": size, "iou": ends[:, 1].tolist(), "undecided": ends[:, 4].tolist(),
                        "cap": cap, "wrongly_in": wrong, "wrongly_out": missed, "trials": [n for _, n in runs]}  # fmt: skip
        goals[f"{name}: share of runs never confidently wrong"] = (right, right >= 0.95)
        goals[f"{name}: undecided at most the cap"] = (left, left <= cap)
    return report, goals


# --- speed ---------------------------------------------------------------------------------------


def speed(_pool, _seeds, say):
    """CPU seconds (one thread) of one ask for eight trials, and the memory of the process."""
    report, goals = {}, {}
    for trials, most in ((300, 1.0), (2000, 5.0)):
        problem = _problem("b")
        search = LevelSetSearch(
            problem.box, problem.panel, problem.goal, Settings(budget=10**6, f1=2.0, undecided=-1.0)
        )
        points = problem.box.draw(trials, 3)
        attacks = np.arange(trials) % 3
        for point, attack, outcome in zip(
            points, attacks, problem.train(points, attacks, np.random.default_rng(0)), strict=True
        ):
            search.tell(search.add(point, int(attack)), outcome)
        search.ask(8)
        spent = []
        for _ in range(3):
            search.tell(
                len(search.points) - 1,
                problem.train(
                    search.points[-1][None],
                    np.array([search.attacks[-1]]),
                    np.random.default_rng(1),
                )[0],
            )
            search.surrogate.fitted = 0  # with new hyperparameters, which only some asks need
            start = time.process_time()
            search.ask(8)
            spent.append(time.process_time() - start)
        say(f"one ask at {trials} trials: {np.median(spent):.2f} s")
        report[str(trials)] = spent
        goals[f"ask at {trials} trials takes at most {most:g} s"] = (
            float(np.median(spent)),
            np.median(spent) <= most,
        )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    say(f"memory: {memory:.2f} GB")
    goals["memory at most 1 GB"] = (memory, memory <= 1.0)
    return report | {"memory_gb": memory}, goals


# --- real trainings ------------------------------------------------------------------------------


def share(pool, _seeds, say):
    """The target of 90 % of the seeds: what fresh seeds say of 40 points at the border of IN."""
    spec, search = target.searched()
    points, chance = target.border(search, spec.region.confidence)
    measured = target.rates(pool, spec, target.trials_of(spec, search, points))
    passes = target.passes(measured, search.core.goal)
    few = int((passes <= target.FEW).sum())
    say(f"\n90 % target on digits: {len(search.core.points)} trials, then {len(points)} points called IN at the border "
        f"(P {chance.min():.3f} to {chance.max():.3f}) with {target.SEEDS} fresh seeds each\n"
        f"passes of {target.SEEDS}: {sorted(passes.tolist())}; {few} with {target.FEW} or fewer")  # fmt: skip
    report = {"trials": len(search.core.points), "probability": chance, "passes": passes.tolist()}
    return report, {
        "share: points called IN, of 40": (len(points), len(points) == target.POINTS),
        "share: of them with 23 passes of 30 or fewer, at most one": (few, few <= target.ALLOWED),
    }


#: Live runs whose time is taken, each beside so many trials of the obvious script.
RUNS, PART = 5, 24


def live(_pool, _seeds, say):
    """The bundled search on Ray Tune until its rule stops it, and its proof."""
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
    problem, (trials, arrived) = _problem("digits"), grids(pool, "digits", seeds)[LEVELS[-1]]
    say(f"\ntime to region, IoU {LEVELS[-1]}: the cheapest full grid has {trials} trials"
        + ("" if arrived else ", and does not arrive"))  # fmt: skip
    runs = []
    for seed in range(RUNS):
        each = running.obvious(PART)
        with tempfile.TemporaryDirectory() as folder:
            found = clock.timed(problem, folder, seed)
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", default=",".join(PARTS), help="parts, with commas: " + ", ".join(PARTS)
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--json", default="build/bench-region.json")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    report, goals = {}, {}
    with get_context("spawn").Pool(options.processes) as pool:
        for part in options.only.split(","):
            report[part], more = PARTS[part](
                pool, options.seeds, lambda line: print(line, flush=True)
            )
            goals |= more
    print("\ngoals")
    for goal, (value, met) in goals.items():
        print(f"  {'met   ' if met else 'MISSED'} {goal}: {value:.2f}")
    file = Path(options.json)
    file.parent.mkdir(parents=True, exist_ok=True)
    shown = {
        goal: {"value": float(value), "met": bool(met)} for goal, (value, met) in goals.items()
    }
    file.write_text(
        json.dumps({"seeds": options.seeds, "goals": shown, **report}, indent=1, default=plain)
    )
    return 0 if all(met for _, met in goals.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
