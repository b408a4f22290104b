"""All points judged again by changed criteria, from arrays.

The rules are those of `point_table` and `best_accuracy`; the tests hold both against each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sweeps.records.criteria import Criteria
from sweeps.region.stability_arrays import Bools, Floats, Kept, PointArrays, every, mean
from sweeps.region.stability_bounds import BoundsAgain
from sweeps.statistics.margins import DIGITS


@dataclass(frozen=True)
class Judged:
    """All points, judged. by_means, by_bounds: whether each is IN, (n,) for n points; by_bounds is
    None where that would take too many bounds. margin, and the highest success, as thresholds
    compare it, and the lowest clean accuracy: (n,), NaN where incomplete."""

    by_means: Bools
    by_bounds: Bools | None
    margin: Floats
    success: Floats
    clean: Floats

    @property
    def recommended(self) -> int | None:
        """As `sweeps.region.recommended` chooses without a model: by bounds where any point is IN
        by them, and of equal margins by success, then by clean accuracy."""
        sure = self.by_bounds
        among = self.by_means if sure is None or not sure.any() else sure
        if not among.any():
            return None
        order = np.lexsort((-self.clean, self.success, -self.margin))  # the last key counts first
        return int(order[among[order]][0])


def judged(arrays: PointArrays, bounds: BoundsAgain, criteria: Criteria) -> Judged:
    """By criteria with fewer attacks or seeds, or other thresholds, than the arrays are of. Nothing
    is IN where the clean accuracy that is asked for is not known."""
    kept = arrays.kept(criteria)
    least, most = _least_accuracy(arrays, kept, criteria), criteria.thresholds.attack_success
    if least is None:
        none = np.zeros(len(arrays.points), dtype=np.bool_)
        unknown = np.full(len(none), np.nan)
        return Judged(none, none, unknown, unknown, unknown)
    success, clean = kept.success.max(1), kept.clean.min(1)
    with np.errstate(invalid="ignore"):
        margin = np.round(np.minimum(clean - least, most - success), DIGITS)
        by_means = kept.fine & (margin >= 0)
    inside = bounds.inside(kept, least, most)
    return Judged(by_means, inside, margin, np.round(success, DIGITS), np.round(clean, DIGITS))


def _least_accuracy(arrays: PointArrays, kept: Kept, criteria: Criteria) -> float | None:
    """As `point_table.least_accuracy`, with the best point chosen again."""
    thresholds = criteria.thresholds
    if thresholds.below_best is None:
        return thresholds.clean_accuracy
    stand_in = np.where(kept.stopped, _by_baseline(arrays, kept), np.nan)
    validation, clean = np.where(kept.complete, _by_panel(arrays, kept), stand_in)
    if np.isnan(validation).all():
        return None
    return float(clean[np.nanargmax(validation)]) - thresholds.below_best


def _by_panel(arrays: PointArrays, kept: Kept) -> Floats:
    """As `best_accuracy.from_panel`, (2, n); without meaning where the panel is not complete."""
    broken = kept.of(arrays.broken)
    dropped = every(broken, (2,))
    out = ~every(~broken | dropped[:, :, None], (1,))
    means = mean(np.where(out[:, None, :], np.nan, kept.of(arrays.accuracies)))
    lowest = np.where(dropped, np.inf, means).min(2)
    return np.where(np.isfinite(lowest), lowest, np.nan)


def _by_baseline(arrays: PointArrays, kept: Kept) -> Floats:
    """As `best_accuracy.from_baseline`, (2, n)."""
    own = arrays.baseline[..., kept.seeds]
    unbroken = np.where(arrays.broken_baseline[:, kept.seeds], np.nan, own)
    return np.where(np.isnan(own).any((0, 2)), np.nan, mean(unbroken))
