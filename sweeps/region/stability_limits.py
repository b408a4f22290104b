"""Bounds of many figures at once, from arrays of counts.

They are those of `seed_bounds.rate` and `paired_bounds.mean_difference`, which take a hundred times
as long, one figure after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweeps.region.seed_modes import SeedModes
from sweeps.region.stability_arrays import every
from sweeps.statistics.arrays import Floats
from sweeps.statistics.paired_bounds import mean_difference, moved_sample
from sweeps.statistics.seed_bounds import CHUNK, Counts, Rate, Sample, rate, upper_limits

#: (6, cells, seeds), as `PointArrays.counts`.
CellCounts = NDArray[np.int64]


@dataclass(frozen=True)
class Limits:
    """What bounds depend on. above_baseline: whether success is compared with that of the clean
    baseline."""

    confidence: float
    modes: SeedModes
    above_baseline: bool

    def of(self, cells: CellCounts) -> Floats:
        """Lower bounds of clean accuracy and upper ones of success, (2, cells): -inf and inf where
        there is none that is firm. Of two seeds at least."""
        images = cells[[1, 3, 5] if self.above_baseline else [1, 3]]
        whole = every(images > 0, (0, 2))
        found = np.empty((2, len(whole)))
        found[:, whole] = self._of_whole(cells[:, whole].astype(np.float64))
        for index in np.flatnonzero(~whole).tolist():
            found[:, index] = self._of_one(cells[:, index].tolist())
        return found

    def _of_whole(self, cells: Floats) -> Floats:
        """Of cells with images for every seed."""
        found = np.empty((2, cells.shape[1]))
        for start in range(0, cells.shape[1], CHUNK):
            part = cells[:, start : start + CHUNK]
            found[0, start : start + CHUNK] = self._clean(part)
            found[1, start : start + CHUNK] = self._success(part)
        return found

    def _clean(self, cells: Floats) -> Floats:
        turned = Sample.of(cells[0], cells[1]).turned()
        return np.subtract(1, self._upper(turned, self.modes.clean.fired))

    def _success(self, cells: Floats) -> Floats:
        bimodal = self.modes.success.fired
        if not self.above_baseline:
            return self._upper(Sample.of(cells[2], cells[3]), bimodal)
        one, other = cells[2] / cells[3], cells[4] / cells[5]
        sample, middle = moved_sample(one, cells[3], other)
        bound = self._upper(sample, bimodal) - middle
        return np.asarray(np.maximum(bound, (one - other).mean(axis=1)))

    def _upper(self, sample: Sample, bimodal: bool) -> Floats:
        limits = upper_limits(sample, self.confidence, bimodal)
        return np.asarray(np.minimum(1.0, np.maximum(limits, sample.rates.mean(axis=1))))

    def _of_one(self, counts: list[list[int]]) -> tuple[float, float]:
        """Of a cell of which some seed has no images."""
        correct, clean, successes, images, of_baseline, baseline = counts
        accuracy = rate(_pairs(correct, clean), self.confidence, self.modes.clean.fired)
        ones, bimodal = _pairs(successes, images), self.modes.success.fired
        if self.above_baseline:
            others = _pairs(of_baseline, baseline)
            success = mean_difference(ones, others, self.confidence, bimodal)
        else:
            success = rate(ones, self.confidence, bimodal)
        return firm_lower(accuracy), firm_upper(success)


def firm_lower(found: Rate) -> float:
    """-inf where nothing is proved."""
    return found.lower if found.firm and found.lower is not None else -np.inf


def firm_upper(found: Rate) -> float:
    """inf where nothing is proved."""
    return found.upper if found.firm and found.upper is not None else np.inf


def _pairs(successes: list[int], images: list[int]) -> list[Counts]:
    return list(zip(successes, images, strict=True))
