"""What a search knows of a table's own means: of recorded trainings, not of all that might be.

A cell's mean over its recorded trainings is known but for those not yet looked up. These are
predicted by the search's surrogate, seed noise included, and the ones looked up stand as they are
(finite-population prediction; Ericson 1969).
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from sweeps.levelset.model import CLIP, spread_shape


def mean_probability(search, table, success, below_best, paths=512):
    """P(a cell's mean success is at most `success`, and its mean accuracy within `below_best` of
    the best cell's), means being over attacks and seeds, (cells,)."""
    clean, attack = sampled_means(search, table, paths)
    passing = (clean >= clean.max(axis=0) - below_best) & (attack <= success)
    return passing.mean(axis=1)


def sampled_means(search, table, paths):
    """Means of clean accuracy and of attack success over all trainings, (cells, paths) each."""
    model, rng = search.current(), np.random.default_rng(len(search.outcomes))
    points, (cells, width, seeds) = table.cells.points, table.correct.shape
    known = [(i, o) for i, o in sorted(search.outcomes.items()) if o is not None]
    where = (
        table.cells.rows([search.points[i] for i, _ in known]),
        [search.attacks[i] for i, _ in known],
    )
    found = []
    for crosses, hyperparameters, centre, counts in (
        (
            model.clean.at(points),
            model.clean.hyperparameters,
            model.centre[0],
            [(o.correct, o.images) for _, o in known],
        ),
        (
            model.attack.at(model.crossed(points)),
            model.attack.hyperparameters,
            model.centre[1],
            [(o.success, o.triggered) for _, o in known],
        ),
    ):
        total, seen = np.zeros((cells, width)), np.zeros((cells, width))
        np.add.at(total, where, [hits / images for hits, images in counts])
        np.add.at(seen, where, 1)
        level = _paths(crosses, paths, rng).reshape(cells, -1, paths)
        predicted = _sums(level, seeds - seen, hyperparameters, centre, rng)
        found.append((total.sum(axis=1)[:, None] + predicted) / (width * seeds))
    return found


def _paths(posterior, paths, rng):
    """Posterior samples of f, (points, paths)."""
    covariance = posterior.covariance(posterior)
    covariance[np.diag_indices(len(covariance))] += 1e-6
    return posterior.mean[:, None] + np.linalg.cholesky(covariance) @ rng.standard_normal(
        (len(posterior.mean), paths)
    )


def _sums(level, left, hyperparameters, centre, rng):
    """The sum of rates of each cell's trainings not looked up: levels (cells, attacks or 1, paths)
    and how many are left (cells, attacks) to (cells, paths)."""
    deviation = np.sqrt(hyperparameters.learned_noise(spread_shape(level, centre)))
    total = np.zeros((level.shape[0], level.shape[2]))
    for attack in range(left.shape[1]):
        own = min(attack, level.shape[1] - 1)
        for turn in range(int(left[:, attack].max())):
            noisy = level[:, own] + deviation[:, own] * rng.standard_normal(total.shape)
            rates = expit(np.clip(noisy, -CLIP, CLIP) + centre)
            total += np.where((left[:, attack] > turn)[:, None], rates, 0.0)
    return total
