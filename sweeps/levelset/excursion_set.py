"""From which P(inside) on a point is IN, given that a model's errors are correlated.

Each point with P(inside) >= 0.95 is wrong with a probability of at most 5 %. But neighbours depend
on the same few trainings, and all points on the same threshold: where seeds differ much, errors
occur together, in whole areas. So the points called IN also have to hold as a set. They are those
of the largest P(inside), as many as possible, so that P(more than 5 % of them are outside) is at
most 5 % (a conservative estimate of an excursion set, Bolin and Lindgren 2015, JRSS B 77, 85; but
there no point of the set may be wrong, here a share of them may).

Notation: n points, s joint posterior draws.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sweeps.levelset.columns import Bools, Floats
from sweeps.levelset.model import Model
from sweeps.levelset.volume import DRAWS, joint_draws, most_points
from sweeps.records.thresholds import MEDIAN

#: Points that are drawn jointly: enough to measure a share of one in twenty.
MOST = 256


def cutoff(model: Model, points: Floats, inside: Floats, confidence: float) -> float:
    """The least P(inside) that is IN: at least `confidence`, and infinite where nothing can be.

    points: (n, d), evenly drawn; inside: P(inside) there, (n,). Equal models give equal answers.
    """
    certain = np.flatnonzero(inside >= confidence)
    if not len(certain):
        return confidence
    by_probability = certain[np.argsort(-inside[certain], kind="stable")]
    count = min(len(by_probability), MOST, most_points(len(model.panel)))
    some = by_probability[np.linspace(0, len(by_probability) - 1, count).round().astype(np.int64)]
    right = drawn_inside(model, points[some])
    wrong = np.cumsum(~right, axis=1) / np.arange(1, len(some) + 1)
    held = (wrong <= 1 - confidence).mean(axis=0) >= confidence
    # Points of equal probability are all IN, or none of them is.
    held[:-1] &= np.diff(inside[some]) < 0
    if held[-1]:
        return confidence
    return float(inside[some[np.flatnonzero(held)[-1]]]) if held.any() else float(np.inf)


def drawn_inside(model: Model, points: Floats) -> Bools:
    """Joint posterior draws of which points are inside, (s, n), from each alternative model in
    proportion to its weight. Their variances are raised by each process's `residual_inflation`."""
    rng = np.random.default_rng(0)
    panel = np.ones(len(model.panel), dtype=np.bool_)
    # Binary outcomes do not tell how much seeds differ, which a share of the seeds depends on.
    others = model.others if model.thresholds.target == MEDIAN else ()
    alternatives = [(1 - sum(weight for weight, _ in others), model), *others]
    parts = [
        joint_draws(_inflated(alternative), points, rng, count).inside(panel)
        for weight, alternative in alternatives
        if (count := round(DRAWS * weight))
    ]
    return np.concatenate(parts)


def _inflated(model: Model) -> Model:
    clean, attack = (
        replace(process, binary_inflation=process.binary_inflation * process.residual_inflation)
        for process in (model.clean, model.attack)
    )
    return replace(model, clean=clean, attack=attack)
