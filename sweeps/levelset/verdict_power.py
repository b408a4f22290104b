"""The chance that a point passes when it is judged by a few seeds that have not been trained yet.

P(inside) is about the median of all seeds. A verdict by few seeds, counted on few images, also
varies by their own noise: near the border a point that is inside may well fail it.

Notation: n points, d columns, w attacks; values and margins are logits, noises their variances.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from sweeps.levelset.columns import Floats
from sweeps.levelset.membership import joint_probability
from sweeps.levelset.model import Margins, Model


@dataclass(frozen=True)
class Verdicts:
    """How a point is judged: by the median of `seeds` new ones, each measured on so many clean
    images and so many triggered ones."""

    seeds: int
    images: float
    triggered: float

    def spread(self, variance: Floats) -> Floats:
        """Variance of the median, for seeds of this variance; exact for one seed, and within 2 %
        for more normal ones."""
        return np.asarray(variance * np.pi / (2 * self.seeds + np.pi - 2), dtype=np.float64)


def passing_verdict(model: Model, points: Floats, verdicts: Verdicts) -> Floats:
    """P(the verdict is that clean accuracy holds and all attacks fail) at (n, d) points, (n,).

    The threshold is taken as it is, without its uncertainty: verdicts are given against one number.
    Noise is assumed to be independent between the metrics, which is the cautious assumption.
    """
    clean, attack = model.clean.at(points), model.attack.at(model.crossed(points))
    mean, covariance = model.margins(points).attack
    noisy = covariance.copy()
    places = np.arange(len(model.panel))
    by_attack = _noise(model, attack.mean, 1, verdicts.triggered).reshape(mean.shape)
    noisy[:, places, places] += verdicts.spread(by_attack)
    by_seed = verdicts.spread(_noise(model, clean.mean, 0, verdicts.images))
    variance = model.clean.variance_inflation * clean.variance() + by_seed
    above = clean.mean - model.accuracy_threshold.mean
    return joint_probability(Margins((above, variance), (mean, noisy)))


def _noise(model: Model, mean: Floats, which: int, counted: float) -> Floats:
    """Noise variances of one new seed: the learned one, and that of counting images."""
    hyperparameters = (model.clean if which == 0 else model.attack).hyperparameters
    rate = np.clip(expit(mean + model.centre[which]), 0.5 / counted, 1 - 0.5 / counted)
    shape = 4 * rate * (1 - rate)
    counting = 1 / (counted * rate * (1 - rate))
    return np.asarray(hyperparameters.learned_noise(shape) + counting, dtype=np.float64)
