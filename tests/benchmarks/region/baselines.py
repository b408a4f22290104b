"""What a user has without this search: full grids, Sobol designs, Optuna's TPE."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import optuna
from scipy.interpolate import RegularGridInterpolator
from scipy.special import logit

from sweeps.levelset.membership import probability
from sweeps.levelset.model import Trials
from sweeps.levelset.surrogate import Surrogate

STEPS = range(5, 21)


def iou(found, truth):
    """Intersection over union of two sets of evenly drawn points, (n,) bool each."""
    union = (found | truth).sum()
    return (found & truth).sum() / union if union else 1.0


def as_trials(problem, points, attacks, outcomes):
    """Those of the trials that did not fail."""
    kept = [i for i, o in enumerate(outcomes) if o is not None]
    counts = np.array(
        [(o.correct, o.images, o.success, o.triggered) for o in map(outcomes.__getitem__, kept)]
    )
    return Trials(points[kept], attacks[kept], *counts.reshape(-1, 4).T)


def by_surrogate(problem, trials, points):
    """The plug-in set of the same surrogate as the search's, fitted from scratch."""
    reference = problem.box.sample(1024, 0)
    surrogate = Surrogate(problem.box.columns, problem.panel, problem.thresholds, reference)
    model = surrogate.fit(trials, np.random.default_rng(0))
    return probability(model, points) >= 0.5


# --- full grids ----------------------------------------------------------------------------------


def grid_sizes(problem):
    """(trials, steps, seeds) of all full grids, the cheapest first."""
    columns = problem.box.columns
    kinds = int(np.prod([columns.categories[c] for c in columns.codes]))
    found = [
        (steps ** len(columns.numbers) * kinds * len(problem.panel) * seeds, steps, seeds)
        for steps in STEPS
        for seeds in (1, 3)
    ]
    return sorted(found)


def grid(problem, steps, seeds, rng):
    """Cells, attacks and the mean outcome of each cell under each attack."""
    axes = problem.axes(steps)
    cells = np.array(list(itertools.product(*axes)))
    width = len(problem.panel)
    points = np.repeat(cells, width, axis=0)
    attacks = np.tile(np.arange(width), len(cells))
    runs = [
        as_trials(problem, points, attacks, problem.train(points, attacks, rng))
        for _ in range(seeds)
    ]
    return axes, points, attacks, runs


def grid_iou(problem, steps, seeds, rng, even, truth, largest):
    """IoU by linear interpolation of mean logits, or where it is better and up to `largest` rows
    by the surrogate."""
    axes, points, attacks, runs = grid(problem, steps, seeds, rng)
    linear = iou(_interpolated(problem, axes, runs, even), truth)
    if len(points) > largest:
        return linear
    # Replicates become one row: pooling their counts loses nothing that a cell's mean has.
    pooled = Trials(
        points,
        attacks,
        *(
            sum(getattr(r, name) for r in runs)
            for name in ("correct", "images", "success", "triggered")
        ),
    )
    return max(linear, iou(by_surrogate(problem, pooled, even), truth))


def _interpolated(problem, axes, runs, even):
    shape = [len(a) for a in axes] + [len(problem.panel)]
    clean = np.mean([logit((r.correct + 0.5) / (r.images + 1)) for r in runs], axis=0).reshape(
        shape
    )
    attack = np.mean([logit((r.success + 0.5) / (r.triggered + 1)) for r in runs], axis=0).reshape(
        shape
    )
    # The region is judged by the worst attack and the lowest clean accuracy over the panel's mean.
    ok_clean = RegularGridInterpolator(axes, clean.mean(-1))(even) >= logit(problem.least_accuracy)
    ok_attack = RegularGridInterpolator(axes, attack.max(-1))(even) <= logit(
        problem.thresholds.attack_success
    )
    return ok_clean & ok_attack


# --- designs and samplers ------------------------------------------------------------------------


def sobol_trials(problem, count, seed):
    """A space-filling design over the defence space, the attacks drawn along with it."""
    width = len(problem.panel)
    points = problem.box.sample(count, seed)
    attacks = np.random.default_rng(seed).permutation(np.arange(count) % width)
    return points, attacks


def tpe_trials(problem, count, seed):
    """Optuna's TPE with two objectives, each point trained under the whole panel."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rng, width = np.random.default_rng(seed), len(problem.panel)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    points, attacks, outcomes = [], [], []
    while len(points) < count:
        trial = study.ask()
        point = np.array([
            trial.suggest_float(str(j), 0, 1) if count == 0 else float(trial.suggest_categorical(str(j), range(count)))
            for j, count in enumerate(problem.box.columns.categories)
        ])  # fmt: skip
        rows = np.repeat(problem.snap(point)[None], width, axis=0)
        got = problem.train(rows, np.arange(width), rng)
        points += list(rows)
        attacks += range(width)
        outcomes += got
        if any(o is None for o in got):
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(
                trial,
                [min(o.correct / o.images for o in got), max(o.success / o.triggered for o in got)],
            )
    return np.array(points)[:count], np.array(attacks)[:count], outcomes[:count]
