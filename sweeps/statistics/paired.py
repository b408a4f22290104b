"""One-sided bounds on the mean difference of two rates that are paired by seed. Pure.

Student's t on the seeds' differences. As in `seed_bounds`, the mean binomial noise of finite test
images is the least spread that is assumed: seeds that agree by chance prove little, and where there
are few images a difference of one or two of them is no proof. The two rates of a seed are often of
the same images, whose noise partly cancels; it is added all the same, so that the bound is too low
rather than too high.

Whoever looks at many points finds a large difference at some of them by chance. `without_effect`
asks at one of them whether both rates may have the same distribution, with the error divided among
the points (Bonferroni). With the factor of the paired bound this is of no use: for two seeds and 36
points it is 229 standard errors, which hardly any difference exceeds. But where there is no effect
both rates have the same spread over seeds, which then is estimated from twice as many values
(Student, Biometrika 1908): the factor is 18.9. The pairing is not used there; rates of a seed that
go together make the spread too large rather than too small. An attack without effect is said to
have one in at most 5 % of sweeps, for 1 to 200 points, 2 to 10 seeds, 20 or 450 images, and seeds
that are equal, normal or heavy-tailed (t with 2 degrees of freedom) on logits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import ndtri, stdtrit

from sweeps.statistics.margins import DIGITS

#: Successes and images of one seed: of the rate that may be higher, and of the one it is held to.
Pair = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Excess:
    """A mean difference of rates, in [-1, 1], NaN without a pair; and its one-sided lower bound,
    None below two pairs. pairs: how many there are."""

    mean: float
    lower: float | None
    pairs: int

    @property
    def shown(self) -> bool:
        """Whether the difference is above 0 with the confidence of its bound."""
        return self.lower is not None and round(self.lower, DIGITS) > 0


def excess(pairs: Sequence[Pair], confidence: float) -> Excess:
    """How far the first rate of each pair is above the second, on average over pairs, one a seed.

    Every pair has images on both sides. The lower bound holds with `confidence`, in (0.5, 1).
    """
    n = len(pairs)
    if not n:
        return Excess(math.nan, None, 0)
    differences = [_difference(pair) for pair in pairs]
    mean = math.fsum(differences) / n
    if n < 2:
        return Excess(mean, None, n)
    variance = max(_variance(differences), math.fsum(map(_binomial, pairs)) / n)
    reach = float(stdtrit(n - 1, confidence)) * math.sqrt(variance / n)
    return Excess(mean, mean - reach, n)


def without_effect(pairs: Sequence[Pair], confidence: float, points: int = 1) -> bool:
    """Whether the first rates may be no higher than the second, as far as these pairs can tell.

    confidence: in (0.5, 1), of not denying it at any of `points` points where it is true. True
    below two pairs.
    """
    n = len(pairs)
    if n < 2:
        return True
    mean = math.fsum(map(_difference, pairs)) / n
    spread = sum(_variance([k / images for k, images in side]) for side in zip(*pairs, strict=True))
    variance = max(spread, math.fsum(map(_binomial, pairs)) / n)
    factor = float(stdtrit(2 * (n - 1), 1 - (1 - confidence) / points))
    return round(mean - factor * math.sqrt(variance / n), DIGITS) <= 0


def image_bound(pair: Pair, confidence: float) -> float:
    """A one-sided lower bound of the difference of one pair by the noise of its images alone: of
    these two rates, not of those of other seeds."""
    return _difference(pair) - float(ndtri(confidence)) * math.sqrt(_binomial(pair))


def _variance(values: Sequence[float]) -> float:
    """Of the distribution from which two values or more were drawn."""
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def _difference(pair: Pair) -> float:
    (k, n), (other, images) = pair
    return k / n - other / images


def _binomial(pair: Pair) -> float:
    """The variance of the difference by finite images; half a success and half a failure more keep
    it above 0."""
    smoothed = [((k + 0.5) / (n + 1), n) for k, n in pair]
    return sum(p * (1 - p) / n for p, n in smoothed)
