"""Two one-sided t-tests, and how well one figure tells two groups apart. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit


class EquivalenceEntry(TypedDict):
    """An `Equivalence` as plain values."""

    n: int
    mean: float | None
    lower: float | None
    upper: float | None
    p: float | None
    equivalent: bool | None


@dataclass(frozen=True)
class Equivalence:
    """Whether a mean difference lies within (-margin, margin).

    n: differences. mean, lower, upper: their mean and its (1 - 2 alpha) interval by Student's t.
    p: the larger p-value of the two one-sided tests. equivalent: p < alpha, which is to say that
    the interval lies inside the margins. All but n and mean are None below two differences.
    """

    n: int
    mean: float | None
    lower: float | None
    upper: float | None
    p: float | None
    equivalent: bool | None

    def plain(self) -> EquivalenceEntry:
        """As plain values."""
        return {
            "n": self.n,
            "mean": self.mean,
            "lower": self.lower,
            "upper": self.upper,
            "p": self.p,
            "equivalent": self.equivalent,
        }


def tost(differences: Sequence[float], margin: float, alpha: float = 0.05) -> Equivalence:
    """Schuirmann's two one-sided t-tests on paired differences (J. Pharmacokinet. 1987)."""
    n = len(differences)
    if n < 2:
        return Equivalence(n, float(differences[0]) if n else None, None, None, None, None)
    values = np.asarray(differences, dtype=np.float64)
    mean, error = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(n)
    reach = float(stdtrit(n - 1, 1 - alpha)) * error
    if error > 0:
        p = max(float(stdtr(n - 1, t)) for t in ((mean - margin) / error, -(mean + margin) / error))
    else:  # every seed gave the same difference
        p = 0.0 if abs(mean) < margin else 1.0
    return Equivalence(n, mean, mean - reach, mean + reach, p, p < alpha)


def auc(poisoned: Sequence[float], clean: Sequence[float]) -> float:
    """How often a poisoned model's figure is the lower one of a pair, ties half: the area under
    the curve of the detector "poisoned if below a threshold", over all thresholds."""
    lower, higher = np.asarray(poisoned)[:, None], np.asarray(clean)[None, :]
    return float(((lower < higher) + 0.5 * (lower == higher)).mean())


def bootstrap_mean(
    values: Sequence[float], confidence: float, draws: int = 2000, seed: int = 0
) -> tuple[float, float] | None:
    """Percentile interval of the mean of values that are drawn with replacement; None below 2."""
    if len(values) < 2:
        return None
    array = np.asarray(values, dtype=np.float64)
    chosen = np.random.default_rng(seed).integers(0, len(array), (draws, len(array)))
    low, high = np.quantile(array[chosen].mean(1), [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def resamples(n: int, draws: int = 2000, seed: int = 0) -> npt.NDArray[np.int64]:
    """Rows of n numbers below n, with replacement: all n^n where these are at most `draws`."""
    if n**n <= draws:
        grid = np.meshgrid(*[np.arange(n)] * n, indexing="ij")
        return np.stack([axis.ravel() for axis in grid], 1)
    return np.random.default_rng(seed).integers(0, n, (draws, n))
