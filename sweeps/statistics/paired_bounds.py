"""One-sided bounds on the mean difference of two rates that are measured with the same seeds.

A seed fixes the split, the images and the trigger, so that its two rates move together: their
difference varies less than either (a paired comparison, Student 1908, Biometrika 6, 1). Each seed's
rate is moved by how far the other one lies from its own mean, and the bounds are those of a rate
(`sweeps.statistics.seed_bounds`) of what is then left, less that mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sweeps.statistics.arrays import Floats
from sweeps.statistics.seed_bounds import Counts, Rate, Sample, rates_of


def difference_by_seed(ones: Sequence[Counts], others: Sequence[Counts]) -> list[float | None]:
    """The rate of one minus that of the other for each seed, in [-1, 1]; None without images."""
    return [k / n - m / r if n and r else None for (k, n), (m, r) in zip(ones, others, strict=True)]


def mean_difference(
    ones: Sequence[Counts], others: Sequence[Counts], confidence: float, bimodal: bool = False
) -> Rate:
    """The mean over seeds of one rate minus the other, and its one-sided bounds.

    ones, others: (successes, images) by seed, in the same order; a seed without images is left out.
    lower and upper each hold with `confidence` on their own, in [-1, 1]; None with one seed.
    bimodal: whether they have to hold for seeds of any distribution.
    """
    pairs = [(one, other) for one, other in zip(ones, others, strict=True) if one[1] and other[1]]
    if not pairs:
        return Rate(math.nan, None, None)
    one, images, other, trials = np.array(
        [(k / n, n, m / r, r) for (k, n), (m, r) in pairs], dtype=np.float64
    ).T
    sample, middles = moved_sample(one[None], images[None], other[None], trials[None])
    found, middle = rates_of(sample, confidence, bimodal)[0], float(middles[0])
    mean = float((one - other).mean())
    if found.lower is None or found.upper is None:
        return Rate(mean, None, None)
    lower, upper = min(found.lower - middle, mean), max(found.upper - middle, mean)
    return Rate(mean, lower, upper, found.firm)


def moved_sample(
    one: Floats, images: Floats, other: Floats, trials: Floats
) -> tuple[Sample, Floats]:
    """Rates of which each is moved by how far the other lies from its mean, and these means, (c,).

    one, other: rates in [0, 1], (c, n) each; images, trials: of one and of the other, above 0.
    """
    middle = other.mean(axis=1)
    moved = np.clip(one - (other - middle[:, None]), 0.0, 1.0)
    return _noisier(Sample.of(moved * images, images), Sample.of(other * trials, trials)), middle


def _noisier(one: Sample, other: Sample) -> Sample:
    """The sample of one rate with the binomial noise of the other added to its own: seeds whose
    differences agree by chance prove little."""
    more = other.rate_noise
    # A logit moves 1 / (p (1 - p)) times as far as its rate p.
    slope: Floats = one.logit_noise / one.rate_noise
    return replace(
        one,
        rate_noise=one.rate_noise + more,
        logit_noise=one.logit_noise + more * slope,
        coarse_noise=one.coarse_noise + more * slope,
    )
