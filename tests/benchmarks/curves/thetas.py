"""How well theta ranks backdoor accuracy: Spearman's rank correlation over the rows of a file."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import spearmanr


@dataclass(frozen=True)
class Correlation:
    """Over all rows, and the lowest and highest of the single seeds; NaN where nothing varies.

    rows: how many have both figures.
    """

    value: float
    low: float
    high: float
    rows: int

    def plain(self):
        """For JSON, which has no NaN."""
        return {name: None if value != value else value for name, value in asdict(self).items()}

    def text(self):
        if np.isnan(self.value):
            return "-"
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def correlation(theta, accuracy, seeds):
    """Of arrays over the rows; rows where theta is NaN are left out."""
    theta, accuracy, seeds = (
        np.asarray(values, dtype=float) for values in (theta, accuracy, seeds)
    )
    known = ~np.isnan(theta)
    theta, accuracy, seeds = theta[known], accuracy[known], seeds[known]
    each = [_spearman(theta[seeds == seed], accuracy[seeds == seed]) for seed in np.unique(seeds)]
    each = [value for value in each if not np.isnan(value)] or [np.nan]
    return Correlation(_spearman(theta, accuracy), min(each), max(each), int(known.sum()))


def _spearman(a, b):
    if len(a) < 3 or len(np.unique(a)) < 2 or len(np.unique(b)) < 2:
        return float("nan")
    return float(spearmanr(a, b).statistic)


def their_theta(influence):
    """-(2/pi) arctan of the recorded mean influences."""
    return -2 / np.pi * np.arctan(np.asarray(influence, dtype=float))


def correlations(file, trained):
    """Name → Correlation: theirs with their accuracies, ours with ours. trained: of its rows."""
    seeds = [row.seed for row in file.rows]
    influence = np.array([row.influence for row in file.rows])
    recorded = np.array([row.backdoor for row in file.rows])
    ours = np.array([each.backdoor for each in trained])

    def own(name):
        return correlation([each.slope[name] for each in trained], ours, seeds)

    # Their notebook leaves out the rows whose influence is 0 or more.
    kept = np.where(influence < 0, influence, np.nan)
    return {
        "theirs": correlation(their_theta(influence), recorded, seeds),
        "theirs, as plotted": correlation(their_theta(kept), recorded, seeds),
        "theta": own("theta"),
        "theta_poison_hessian": own("theta_poison_hessian"),
        "theta_secant": own("theta_secant"),
    }
