"""One-sided bounds on the mean difference of two rates that are measured with the same seeds.

A seed fixes the split, the images and the trigger, so that its two rates move together: their
difference varies less than either (a paired comparison, Student 1908, Biometrika 6, 1). The bound is
Student's t on the seeds' differences. The least spread that is assumed is the mean binomial noise of
a difference of two independent rates: three seeds that agree by chance prove little. Rates of the
same images are not independent, which makes that noise, if anything, too large.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.special import stdtrit

from sweeps.statistics.seed_bounds import Rate

#: Successes and images.
Counts = tuple[int, int]


def difference_by_seed(ones: Sequence[Counts], others: Sequence[Counts]) -> list[float | None]:
    """The rate of one minus that of the other for each seed, in [-1, 1]; None without images."""
    return [
        k / n - m / r if n and r else None
        for (k, n), (m, r) in zip(ones, others, strict=True)
    ]


def mean_difference(ones: Sequence[Counts], others: Sequence[Counts], confidence: float) -> Rate:
    """The mean over seeds of one rate minus the other, and its one-sided bounds.

    ones, others: (successes, images) by seed, in the same order; a seed without images is left out.
    lower and upper each hold with `confidence` on their own, in [-1, 1]; None with one seed.
    """
    pairs = [(one, other) for one, other in zip(ones, others, strict=True) if one[1] and other[1]]
    if not pairs:
        return Rate(math.nan, None, None)
    found = [k / n - m / r for (k, n), (m, r) in pairs]
    mean = sum(found) / len(found)
    if len(found) < 2:
        return Rate(mean, None, None)
    spread = sum((value - mean) ** 2 for value in found) / (len(found) - 1)
    noise = sum(_noise(one) + _noise(other) for one, other in pairs) / len(pairs)
    reach = float(stdtrit(len(found) - 1, confidence)) * math.sqrt(max(spread, noise) / len(found))
    return Rate(mean, max(-1.0, mean - reach), min(1.0, mean + reach))


def _noise(counts: Counts) -> float:
    """The binomial variance of a rate. Half a success and half a failure keep that of 0 and of 1
    above none."""
    successes, images = counts
    rate = (successes + 0.5) / (images + 1)
    return rate * (1 - rate) / (images + 1)
