"""How probable a rate is beyond a limit, where its log-odds are normal and two limits are known."""

from __future__ import annotations

import math
from statistics import NormalDist


def chance_above(
    expected: float, lower: float, upper: float, limit: float, confidence: float
) -> float:
    """The probability that the rate is above `limit`. All are fractions in [0, 1]; lower, upper:
    two-sided limits with this confidence, in (0, 1)."""
    if not 0 < limit < 1:
        return float(limit <= 0)
    low, middle, high = map(_logit, (lower, expected, upper))
    deviation = (high - low) / (2 * NormalDist().inv_cdf((1 + confidence) / 2))
    return NormalDist(middle, max(deviation, 1e-9)).cdf(2 * middle - _logit(limit))


def _logit(rate: float) -> float:
    inside = min(max(rate, 1e-12), 1 - 1e-12)
    return math.log(inside / (1 - inside))
