"""How far inside the thresholds points are under each attack, as the model of all points takes it.

Margins and deviations are logits, linear around the mean rates, so that a margin is that of the
means which are shown, at least half an image inside (0, 1). Where a threshold depends on other
models, on the most accurate point or on the clean baseline, it is compared seed by seed: what a
seed shifts for both does not count.

Notation: P points, A attacks, n seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from sweeps.records.thresholds import Thresholds
from sweeps.region.best_accuracy import BASELINE
from sweeps.region.compared_success import baseline_counts
from sweeps.region.points import Point
from sweeps.statistics.arrays import Floats
from sweeps.statistics.seed_bounds import Counts


@dataclass(frozen=True)
class CellMargins:
    """margins (P, A), at or above 0 inside; deviations of each seed's (P, A, n); noise (P, A): the
    least variance of a seed's margin."""

    margins: Floats
    deviations: Floats
    noise: Floats


def accuracy_margins(
    points: Sequence[Point], best: Point | None, thresholds: Thresholds, least: float
) -> CellMargins:
    """Of clean accuracy, at complete points. least: the accuracy asked for; best: the point from
    whose accuracy it follows, where it does."""
    hits, totals = _arrays([[f.clean for f in point.figures.values()] for point in points])
    limits = np.full((1, 1, hits.shape[2]), least)
    paired = None if thresholds.below_best is None else _by_seed(best, _seeds(points))
    if paired is not None:
        limits = (paired - paired.mean() + least)[None, None, :]
    return _margins(hits, totals, limits, paired is not None)


def success_margins(
    points: Sequence[Point], measures: Mapping[str, str], thresholds: Thresholds
) -> CellMargins:
    """Of attack success, at complete points; they have the clean baselines that the threshold
    needs."""
    hits, totals = _arrays([[f.success for f in point.figures.values()] for point in points])
    limits = np.full((1, 1, hits.shape[2]), thresholds.attack_success)
    if thresholds.above_baseline:
        limits = _baselines(points, measures) + thresholds.attack_success
    found = _margins(hits, np.maximum(totals, 1), limits, thresholds.above_baseline)
    return CellMargins(-found.margins, -found.deviations, found.noise)


def _margins(hits: Floats, totals: Floats, limits: Floats, paired: bool) -> CellMargins:
    """How far rates are above limits, (P, A, n) each. paired: whether the limits follow from
    other models with the same seeds."""
    images = totals.mean(axis=2, keepdims=True)
    deviations, mean = _logits(hits / totals, images)
    of_limits, limit = _logits(limits, images)
    # A limit beyond the last image is the end of the scale, whatever the seed.
    deviations = deviations - np.where(limit == limits.mean(axis=2, keepdims=True), of_limits, 0)
    slope = 1 / (mean * (1 - mean))
    noise = mean * (1 - mean) / (images + 1)
    if paired:
        # Two models on the same images seldom differ by chance. The variance is pooled over many
        # cells: it is enough that not all of them agree to the image.
        noise = 1 / images**2
    return CellMargins(
        (logit(mean) - logit(limit))[:, :, 0], deviations, (noise * slope**2)[:, :, 0]
    )


def _logits(rates: Floats, images: Floats) -> tuple[Floats, Floats]:
    """Deviations of each seed's logit from that of the mean rate, (P, A, n), and the mean rate, (P,
    A, 1), half an image inside (0, 1) at least: no seeds prove that they are far from its end."""
    means, half = rates.mean(axis=2, keepdims=True), 0.5 / (images + 1)
    inside = np.clip(means, half, 1 - half)
    return (rates - means) / (inside * (1 - inside)), inside


def _arrays(cells: Sequence[Sequence[Mapping[int, Counts]]]) -> tuple[Floats, Floats]:
    """Counts and totals, (P, A, n) each."""
    both = np.array([[list(c.values()) for c in row] for row in cells], dtype=np.float64)
    return both[..., 0], both[..., 1]


def _seeds(points: Sequence[Point]) -> Sequence[int]:
    return list(next(iter(points[0].figures.values())).clean)


def _by_seed(best: Point | None, seeds: Sequence[int]) -> Floats | None:
    """The accuracy of the most accurate point with each seed, (n,), under the attack that costs
    most; None where a model of it is broken, so that not all seeds count."""
    reference = None if best is None else best.reference
    if best is None or reference is None or any(row.broken for row in best.rows):
        return None
    if reference.source == BASELINE:
        counts = {row.seed: (row.clean_correct or 0, row.clean_total) for row in best.baseline}
    else:
        counts = min(best.figures.values(), key=lambda own: own.clean_rate.mean).clean
    return np.array([counts[seed][0] / counts[seed][1] for seed in seeds])


def has_baselines(point: Point, measures: Mapping[str, str]) -> bool:
    """Whether a complete point has a clean baseline of every attack and seed."""
    found = [baseline_counts(point.baseline, measure) for measure in measures.values()]
    return all(seed in counts for counts in found for seed in _seeds([point]))


def _baselines(points: Sequence[Point], measures: Mapping[str, str]) -> Floats:
    """Success of clean models, (P, A, n)."""
    seeds = _seeds(points)
    found = [[baseline_counts(p.baseline, m) for m in measures.values()] for p in points]
    rates = [[[c[s][0] / max(1, c[s][1]) for s in seeds] for c in row] for row in found]
    return np.array(rates, dtype=np.float64)
