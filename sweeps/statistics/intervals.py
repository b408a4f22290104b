"""A mean of few values with its interval by Student's t. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from scipy.special import stdtrit


class MeanIntervalEntry(TypedDict):
    """A `MeanInterval` as plain values."""

    n: int
    mean: float | None
    lower: float | None
    upper: float | None


@dataclass(frozen=True)
class MeanInterval:
    """n values, their mean (None for n 0), and the two-sided interval of the mean from which they
    were drawn, if they are independent and normal; None below two values."""

    n: int
    mean: float | None
    lower: float | None
    upper: float | None

    def plain(self) -> MeanIntervalEntry:
        """As plain values."""
        return {"n": self.n, "mean": self.mean, "lower": self.lower, "upper": self.upper}


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> MeanInterval:
    """The mean of finite values, with the interval that covers it with this confidence."""
    n = len(values)
    if n < 2:
        return MeanInterval(n, float(values[0]) if n else None, None, None)
    array = np.asarray(values, dtype=np.float64)
    mean = float(array.mean())
    error = float(array.std(ddof=1)) / math.sqrt(n)
    reach = float(stdtrit(n - 1, (1 + confidence) / 2)) * error
    return MeanInterval(n, mean, mean - reach, mean + reach)


def rate_interval(values: Sequence[float], confidence: float = 0.95) -> MeanInterval:
    """The same of fractions: the part of the interval that lies in [0, 1]."""
    found = mean_interval(values, confidence)
    if found.lower is None or found.upper is None:
        return found
    return MeanInterval(found.n, found.mean, max(0.0, found.lower), min(1.0, found.upper))
