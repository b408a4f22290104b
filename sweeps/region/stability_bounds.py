"""Verdicts by bounds after a change. Bounds of all seeds are the table's; a seed that is left out
needs new ones, which are computed at once for all points whose means keep the thresholds.

Whether seeds have two modes is what the test said of all of the sweep's seeds.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from sweeps.region.seed_modes import ONE_MODE
from sweeps.region.stability_arrays import Bools, Counts, Floats, Indices, Kept, PointArrays, every
from sweeps.region.stability_limits import BoundSettings, firm_lower, firm_upper
from sweeps.statistics.margins import DIGITS
from sweeps.statistics.seed_bounds import FEWEST_BIMODAL, FIRST

#: Bounds that are computed for all seeds left out together, at most, with those of the first of the
#: seeds that are left: about four seconds.
MOST_BOUNDS = 2_500_000
#: How many of them take the time of one that holds for any distribution of seeds.
BIMODAL_COST = 60


class BoundsAgain:
    """Judges by bounds. confidence: of each bound. most: how many bounds may be computed for seeds
    that are left out; too_many: whether that was not enough."""

    def __init__(self, arrays: PointArrays, confidence: float) -> None:
        self._arrays = arrays
        self._modes = arrays.points[0].modes if arrays.points else ONE_MODE
        self._settings = BoundSettings(confidence, self._modes, arrays.above_baseline)
        self.most, self.too_many = MOST_BOUNDS, False
        self._all_seeds, self._computed = arrays.clean.shape[2], 0

    def inside(self, kept: Kept, least: float, most: float) -> Bools | None:
        """Which points are IN, (n,); None where that would take too many bounds."""
        inside = np.zeros(len(kept.fine), dtype=np.bool_)
        seeds = len(kept.seeds)
        if seeds < 2 or (self._modes.fired and seeds < FEWEST_BIMODAL):
            return inside
        points = _by_means(kept, least, most)
        if seeds == self._all_seeds:
            lower, upper = self._of_all_seeds(points, kept)
        elif self._are_too_many(len(points), kept):
            return None
        else:
            lower, upper = self._new(points, kept)
        inside[points] = (lower >= least).all(1) & (upper <= most).all(1)
        return inside

    def _of_all_seeds(self, points: Indices, kept: Kept) -> Floats:
        """The table's bounds, and new ones of points that it does not judge, (2, points,
        attacks)."""
        found = self._table[:, points][:, :, kept.attacks]
        new = np.isnan(found).any((0, 2))
        found[:, new] = self._new(points[new], kept)
        return found

    @cached_property
    def _table(self) -> Floats:
        """The lower bounds of clean accuracy and the upper ones of attack success of points that
        the table judges, (2, n, attacks), else NaN."""
        arrays = self._arrays
        table = np.full((2, *arrays.clean.shape[:2]), np.nan)
        complete = np.flatnonzero([point.complete for point in arrays.points])
        if arrays.above_baseline:  # the table keeps no bounds of what is above the baseline
            judged = complete[every(arrays.counts[5, complete] > 0, (1, 2))]
            table[:, judged] = self._bounds(arrays.counts[:, judged])
            return table
        for index in complete.tolist():
            figures = arrays.points[index].figures.values()
            table[0, index] = [firm_lower(own.clean_rate) for own in figures]
            table[1, index] = [firm_upper(own.success_rate) for own in figures]
        return table

    def _are_too_many(self, points: int, kept: Kept) -> bool:
        modes, first = self._modes, max(1, len(kept.seeds) - FIRST + 1)
        each = sum(BIMODAL_COST if m.fired else 1 for m in (modes.clean, modes.success))
        self._computed += points * len(kept.attacks) * first * each
        self.too_many |= self._computed > self.most
        return self.too_many

    def _new(self, points: Indices, kept: Kept) -> Floats:
        """Bounds of what is kept, (2, points, attacks)."""
        return self._bounds(kept.of(self._arrays.counts[:, points]))

    def _bounds(self, counts: Counts) -> Floats:
        """counts: (6, points, attacks, seeds), → (2, points, attacks)."""
        cells = counts.reshape(6, -1, counts.shape[3])
        return self._settings.of(cells).reshape(2, *counts.shape[1:3])


def _by_means(kept: Kept, least: float, most: float) -> Indices:
    """Points whose means keep the thresholds: no bound is better than its mean."""
    with np.errstate(invalid="ignore"):
        margin = np.minimum(kept.clean.min(1) - least, most - kept.success.max(1))
    return np.flatnonzero(kept.fine & (margin >= -(10.0**-DIGITS)))
