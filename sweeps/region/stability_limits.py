"""Bounds of many figures at once, from arrays of counts.

They are those of `seed_bounds.rate` and `paired_bounds.mean_difference`, which take a hundred times
as long, one figure after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sweeps.region.seed_modes import SeedModes
from sweeps.region.stability_arrays import Counts
from sweeps.statistics.arrays import Floats
from sweeps.statistics.paired_bounds import moved_sample
from sweeps.statistics.seed_bounds import CHUNK, Rate, Sample, lower_limits, upper_limits


@dataclass(frozen=True)
class BoundSettings:
    """What bounds depend on. above_baseline: whether success is compared with that of the clean
    baseline."""

    confidence: float
    modes: SeedModes
    above_baseline: bool

    def of(self, cells: Counts) -> Floats:
        """Lower bounds of clean accuracy and upper ones of success, (2, cells).

        cells: (6, cells, seeds), as in `PointArrays.counts`; of two seeds at least, and as many as
        make bounds firm.
        """
        found = np.empty((2, cells.shape[1]))
        for start in range(0, cells.shape[1], CHUNK):
            part = cells[:, start : start + CHUNK].astype(np.float64)
            found[0, start : start + CHUNK] = self._clean(part)
            found[1, start : start + CHUNK] = self._success(part)
        return found

    def _clean(self, cells: Floats) -> Floats:
        sample = Sample.of(cells[0], cells[1])
        limits = lower_limits(sample, self.confidence, self.modes.clean.fired)
        return np.asarray(np.clip(limits, 0.0, sample.rates.mean(axis=1)))

    def _success(self, cells: Floats) -> Floats:
        bimodal = self.modes.success.fired
        if not self.above_baseline:
            return self._upper(Sample.of(cells[2], cells[3]), bimodal)
        one, other = cells[2] / cells[3], cells[4] / cells[5]
        sample, middle = moved_sample(one, cells[3], other, cells[5])
        bound = self._upper(sample, bimodal) - middle
        return np.asarray(np.maximum(bound, (one - other).mean(axis=1)))

    def _upper(self, sample: Sample, bimodal: bool) -> Floats:
        limits = upper_limits(sample, self.confidence, bimodal)
        return np.asarray(np.minimum(1.0, np.maximum(limits, sample.rates.mean(axis=1))))


def firm_lower(found: Rate) -> float:
    """-inf where nothing is proved."""
    return found.lower if found.firm and found.lower is not None else -np.inf


def firm_upper(found: Rate) -> float:
    """inf where nothing is proved."""
    return found.upper if found.firm and found.upper is not None else np.inf
