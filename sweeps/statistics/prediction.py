"""What to expect of one more seed: a prediction interval for a rate, from a few seeds' counts.

Each seed's count k of n images becomes an angle, asin(sqrt((k + 3/8) / (n + 3/4))), on which
binomial noise has the variance 1 / (4 n + 2) whatever the rate is, and which keeps the answer
between 0 and 1 (Anscombe 1948, Biometrika 35, 246-254). On that scale the interval for one future
observation of a normal sample of m seeds with mean a and standard deviation s is

    a +- t(m - 1) s sqrt(1 + 1/m)          (Meeker, Hahn, Escobar 2017, Statistical Intervals, 4.8)

s contains both the differences between seeds and the noise of a finite test set. That noise, of the
new seed and of the mean, is the least spread that is assumed, as in
`sweeps.statistics.seed_bounds`: three seeds that agree by chance do not make the fourth one
certain. So the interval is never narrower than the plain t interval and covers at least as often;
where seeds differ little it covers more often than it says. Its ends are rounded outward to whole
images.

It assumes that seeds are about normally distributed on the angles, and that the point was not
chosen for these very figures. A point that was chosen out of many looks a little better than it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtr, stdtrit


@dataclass(frozen=True)
class Prediction:
    """With `confidence`, `low` to `high` of `total` test images for a seed not among `seeds`."""

    low: int
    high: int
    total: int
    seeds: int
    confidence: float

    def holds(self, count: int) -> bool:
        """Whether a new seed's count lies inside, ends included."""
        return self.low <= count <= self.high


def predict_one(
    counts: Sequence[tuple[int, int]], total: int, confidence: float = 0.95
) -> Prediction | None:
    """The interval for one new seed measured on `total` images.

    Args:
        counts: (successes, images) of each seed; a seed without images is left out.
        confidence: of the two-sided interval, in (0, 1).

    Returns:
        None with fewer than two seeds, or where the new seed has no images.
    """
    if (found := _on_angles(counts, total)) is None:
        return None
    centre, deviation, m = found
    reach = float(stdtrit(m - 1, (1 + confidence) / 2)) * deviation
    low, high = (_count(centre + end, total) for end in (-reach, reach))
    return Prediction(max(0, math.floor(low)), min(total, math.ceil(high)), total, m, confidence)


def chance_above(counts: Sequence[tuple[int, int]], total: int, count: int) -> float | None:
    """The probability that a new seed's count out of `total` is above `count`, by the distribution
    that the interval is of, with a correction for continuity of half an image.

    Returns:
        None where there is no interval; 1 for a count below 0, 0 for one of at least `total`.
    """
    if (found := _on_angles(counts, total)) is None:
        return None
    if not 0 <= count < total:
        return float(count < 0)
    centre, deviation, m = found
    return float(stdtr(m - 1, (centre - _angle(count + 0.5, total)) / deviation))


def _on_angles(counts: Sequence[tuple[int, int]], total: int) -> tuple[float, float, int] | None:
    """Mean of the seeds' angles, standard deviation of a new one about it, and how many seeds."""
    counts = [(k, n) for k, n in counts if n]
    m = len(counts)
    if m < 2 or not total:
        return None
    angles = [_angle(k, n) for k, n in counts]
    centre = sum(angles) / m
    spread = sum((a - centre) ** 2 for a in angles) / (m - 1)
    noise = _noise(total) + sum(_noise(n) for _, n in counts) / m**2
    return centre, math.sqrt(max(spread * (1 + 1 / m), noise)), m


def _angle(k: float, n: int) -> float:
    return math.asin(math.sqrt((k + 0.375) / (n + 0.75)))


def _noise(n: int) -> float:
    """Variance of the angle of a binomial count out of n."""
    return 1 / (4 * n + 2)


def _count(angle: float, n: int) -> float:
    """The count out of n, not rounded, that has this angle, clipped to [0, pi / 2]."""
    inside = min(max(angle, 0.0), math.pi / 2)
    return (n + 0.75) * math.sin(inside) ** 2 - 0.375
