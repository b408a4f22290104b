"""How sure a point must be to be IN, as points of a model are wrong together.

Each of the points with P(inside) >= 0.95 is wrong with a chance of at most 5 %. But neighbours hang
on the same few trainings, and all on the same threshold: where seeds differ much, a whole patch is
wrong at once, or nothing is. So the points called IN, taken together, have to hold as well. They
are the surest ones, as many as leave a chance of at most 5 % that more than 5 % of them are outside
(a conservative estimate of an excursion set, Bolin and Lindgren 2015, JRSS B 77, 85; but here a
share of the set may be wrong, there nothing).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sweeps.levelset.columns import Bools, Floats
from sweeps.levelset.surrogate import HALF, Model
from sweeps.levelset.volume import DRAWS, joint_draws, together

#: Points that are drawn together: a share of one in twenty is told well by so many.
MOST = 256


def cutoff(model: Model, points: Floats, inside: Floats, confidence: float) -> float:
    """The least P(inside) that is IN: at least `confidence`, and infinite where nothing can be.

    points: (n, d), evenly drawn; inside: P(inside) there, (n,). Always the same for the same model.
    """
    certain = np.flatnonzero(inside >= confidence)
    if not len(certain):
        return confidence
    surest = certain[np.argsort(-inside[certain], kind="stable")]
    count = min(len(surest), MOST, together(len(model.panel)))
    some = surest[np.linspace(0, len(surest) - 1, count).round().astype(np.int64)]
    right = drawn_inside(model, points[some])
    wrong = np.cumsum(~right, axis=1) / np.arange(1, len(some) + 1)
    held = (wrong <= 1 - confidence).mean(axis=0) >= confidence
    # Equally sure points are IN together or not at all.
    held[:-1] &= np.diff(inside[some]) < 0
    if held[-1]:
        return confidence
    return float(inside[some[np.flatnonzero(held)[-1]]]) if held.any() else float(np.inf)


def drawn_inside(model: Model, points: Floats) -> Bools:
    """Joint posterior draws of which points are inside, (draws, n), each rival drawn as often as it
    weighs. They spread as much more as rows at the border were further off than foretold."""
    rng = np.random.default_rng(0)
    panel = np.ones(len(model.panel), dtype=np.bool_)
    # Sides do not tell how much seeds differ: a share of the seeds is told by logits alone.
    others = model.others if model.goal.seeds == HALF else ()
    alternatives = [(1 - sum(weight for weight, _ in others), model), *others]
    parts = [
        joint_draws(_wider(alternative), points, rng, count).inside(panel)
        for weight, alternative in alternatives
        if (count := round(DRAWS * weight))
    ]
    return np.concatenate(parts)


def _wider(model: Model) -> Model:
    clean, attack = (
        replace(process, outcome_inflation=process.outcome_inflation * process.variance_inflation)
        for process in (model.clean, model.attack)
    )
    return replace(model, clean=clean, attack=attack)
