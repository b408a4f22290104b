"""One-sided bounds on a rate from a few seeds.

Seeds are the unit of repetition: the test images of several seeds are not exchangeable, so their
counts are never pooled. The bound is Student's t on the seeds' logits, with their mean binomial
noise as the least spread that is assumed: three seeds that agree by chance prove little.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtrit


@dataclass(frozen=True)
class Rate:
    """A rate over seeds: its mean, and one-sided bounds where there are two seeds or more."""

    mean: float
    lower: float | None
    upper: float | None


def rate(counts: Sequence[tuple[int, int]], confidence: float) -> Rate:
    """The rate behind (successes, trials) of each seed.

    A seed without a trial is left out. lower and upper each hold with `confidence` on their own;
    fractions in [0, 1].
    """
    counts = [(k, n) for k, n in counts if n]
    if not counts:
        return Rate(math.nan, None, None)
    mean = sum(k / n for k, n in counts) / len(counts)
    if len(counts) < 2:
        return Rate(mean, None, None)
    # Half a success and half a failure keep the logit of 0 and of n finite.
    smoothed = [(k + 0.5) / (n + 1) for k, n in counts]
    logits = [math.log(p / (1 - p)) for p in smoothed]
    centre = sum(logits) / len(logits)
    spread = sum((z - centre) ** 2 for z in logits) / (len(logits) - 1)
    binomial = [1 / ((n + 1) * p * (1 - p)) for p, (_, n) in zip(smoothed, counts, strict=True)]
    variance = max(spread, sum(binomial) / len(binomial))
    reach = float(stdtrit(len(logits) - 1, confidence)) * math.sqrt(variance / len(logits))
    # Where nothing has succeeded, or nothing failed, no rate down to 0 or up to 1 is disproved.
    lower = _expit(centre - reach) if any(k for k, _ in counts) else 0.0
    upper = _expit(centre + reach) if any(k < n for k, n in counts) else 1.0
    return Rate(mean, lower, upper)


def _expit(z: float) -> float:
    return 1 / (1 + math.exp(-z)) if z > -700 else 0.0
