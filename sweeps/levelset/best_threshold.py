"""The clean accuracy that a region asks for, where it depends on the best one: `best - x`.

The threshold is then as uncertain as the best accuracy. Each joint draw of accuracy over many
points has a best one, and so a threshold of its own (Gotovos et al. 2013, implicit level). How the
threshold rises with the accuracy at a point follows from how often that point is a draw's best:
by Stein's lemma the covariance of a function of normal values with each of them is their covariance
times the function's mean slopes (Stein 1981, Annals of Statistics 9, 1135).

Notation: m points that may be the best, s joint draws, d columns. Accuracies are logits above the
model's centre; `below` is a fraction in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from sweeps.levelset.columns import Floats
from sweeps.levelset.gaussian_process import Posterior, Process

#: Points that may be the best, and joint draws of accuracy there.
LIKELY, DRAWS = 400, 256
#: A draw's best is above the mean's best by selection bias, and the mean's best above the true
#: one by as much (the bootstrap's correction of bias, Efron 1979): this many times that bias is
#: subtracted from a draw's best.
SELECTION_BIAS = 2.0


@dataclass(frozen=True)
class AccuracyThreshold:
    """A logit, as far above the model's centre: mean and variance. Where it depends on the best
    accuracy: points that may have it, (k, d), and by how much it rises with each of theirs, (k,).
    """

    mean: float = 0.0
    variance: float = 0.0
    best: tuple[Floats, Floats] | None = None

    def covariance(self, clean: Process, posterior: Posterior) -> Floats:
        """Posterior covariances with accuracy at m points, (m,)."""
        if self.best is None:
            return np.zeros(len(posterior.mean))
        points, slopes = self.best
        return np.asarray(posterior.covariance(clean.at(points)) @ slopes, dtype=np.float64)


def threshold_below_best(
    clean: Process, points: Floats, below: float, centre: float, rng: np.random.Generator
) -> AccuracyThreshold:
    """The threshold that lies `below` the best accuracy over points (m, d).

    centre: the logit around which `clean` is centred. below: a fraction in [0, 1].
    """
    posterior = clean.at(points)
    likely = np.argsort(-(posterior.mean + 2 * np.sqrt(posterior.variance())))[:LIKELY]
    high = posterior.take(likely)
    covariance = high.covariance(high)
    covariance[np.diag_indices(len(likely))] += 1e-6
    normal = rng.standard_normal((len(likely), DRAWS))
    paths = high.mean[:, None] + np.linalg.cholesky(covariance) @ normal
    highest = paths.max(axis=0)
    best = expit(highest - SELECTION_BIAS * (highest.mean() - high.mean.max()) + centre)
    least = np.clip(best - below, 1e-4, 1 - 1e-4)
    thresholds = logit(least) - centre
    slopes = np.minimum(1.0, best * (1 - best) / (least * (1 - least)))
    mean_slopes = np.bincount(paths.argmax(axis=0), slopes, len(likely)) / DRAWS
    ever = np.flatnonzero(mean_slopes)
    return AccuracyThreshold(
        float(thresholds.mean()),
        float(thresholds.var()),
        (points[likely[ever]], mean_slopes[ever]),
    )
