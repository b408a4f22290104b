"""A region in few words: the largest box, and a short rule, by peeling (Friedman, Fisher 1999).

Both are found on many points that the model has labelled (Arzamasov, Boehm 2021), never on the few
that were trained, and judged on others. A region along a diagonal has no large box; a rule may
therefore also bound sums and differences of logarithms, that is products and ratios of factors.

Notation: n points, f features (values of factors, or their logarithms); inside: P(inside), (n,).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sweeps.levelset.columns import Floats

#: The share that is peeled off at once, and the precision that a description must have.
PEEL, PRECISION = 0.05, 0.95


@dataclass(frozen=True)
class Interval:
    """low <= column <= high; None where there is no bound."""

    column: int
    low: float | None
    high: float | None

    def holds(self, features: Floats) -> np.ndarray:
        values = features[:, self.column]
        low = -np.inf if self.low is None else self.low
        high = np.inf if self.high is None else self.high
        return np.asarray((values >= low) & (values <= high))


@dataclass(frozen=True)
class Description:
    """Intervals that hold together. precision: P(inside) of a point for which they hold. coverage:
    the share of the region for which they hold. Both are of points they were not found on."""

    intervals: tuple[Interval, ...]
    precision: float
    coverage: float

    def holds(self, features: Floats) -> np.ndarray:
        found = np.ones(len(features), dtype=bool)
        for interval in self.intervals:
            found &= interval.holds(features)
        return found


def describe(features: Floats, inside: Floats, most: int | None = None) -> Description | None:
    """Intervals of features (n, f) that hold for as much of the region as can be.

    Args:
        features: of evenly drawn points. inside: P(inside) of each, (n,).
        most: intervals allowed; None is any number.

    Returns:
        The description, found on half of the points and judged on the others; None where none
        of `PRECISION` was found.
    """
    # By chance: every second point of a Sobol sequence lies in one half of some axis.
    order = np.random.default_rng(0).permutation(len(features))
    found, held = order[::2], order[1::2]
    kept = _pasted(features[found], inside[found], _peeled(features[found], inside[found]))
    if kept is None:
        return None
    kept = _shortened(features[found], inside[found], kept, most)
    return None if kept is None else judged(features[held], inside[held], kept)


def judged(features: Floats, inside: Floats, intervals: tuple[Interval, ...]) -> Description:
    """The intervals with their precision and coverage on these points."""
    empty = Description(intervals, 0.0, 0.0)
    chosen, mass = empty.holds(features), inside.sum()
    if not chosen.any() or not mass:
        return empty
    precision, coverage = inside[chosen].mean(), inside[chosen].sum() / mass
    return replace(empty, precision=float(precision), coverage=float(coverage))


def _peeled(features: Floats, inside: Floats) -> tuple[Interval, ...] | None:
    """Intervals from taking slices off, the worst first, until what is left is precise."""
    box = [(-np.inf, np.inf)] * features.shape[1]
    left = np.arange(len(features))
    while len(left) >= 8 and inside[left].mean() < PRECISION:
        best: tuple[float, int, tuple[float, float], np.ndarray] | None = None
        for column in range(features.shape[1]):
            values = features[left, column]
            low, high = np.quantile(values, [PEEL, 1 - PEEL])
            for kept, upper in ((values > low, False), (values < high, True)):
                if kept.all() or not kept.any():
                    continue
                # Ends are values that are left: of whole numbers the next one may be far away.
                ends = values[kept].min(), values[kept].max()
                bounds = (box[column][0], ends[1]) if upper else (ends[0], box[column][1])
                # The gain for each point given up: thin and thick slices are compared fairly.
                gain = (inside[left[kept]].mean() - inside[left].mean()) / (~kept).sum()
                if best is None or gain > best[0]:
                    best = (gain, column, bounds, kept)
        if best is None:
            return None
        box[best[1]], left = best[2], left[best[3]]
    if len(left) < 8:
        return None
    return tuple(
        Interval(i, None if low == -np.inf else float(low), None if high == np.inf else float(high))
        for i, (low, high) in enumerate(box)
        if (low, high) != (-np.inf, np.inf)
    )


def _pasted(
    features: Floats, inside: Floats, intervals: tuple[Interval, ...] | None
) -> tuple[Interval, ...] | None:
    """Intervals with bounds moved out again while the precision stays: peeling takes too much."""
    if intervals is None:
        return None
    current = judged(features, inside, intervals)
    moved = True
    while moved:
        moved = False
        for index in range(len(current.intervals)):
            for wider in _wider(features, current, index):
                trial = judged(features, inside, wider)
                if trial.precision >= PRECISION and trial.coverage > current.coverage:
                    current, moved = trial, True
                    break
    return current.intervals


def _wider(features: Floats, current: Description, index: int) -> list[tuple[Interval, ...]]:
    """The intervals with one bound of one of them moved out by a slice."""
    interval = current.intervals[index]
    others = current.intervals[:index] + current.intervals[index + 1 :]
    free = features[replace(current, intervals=others).holds(features), interval.column]
    step = max(1, round(PEEL * len(free) / 2))
    wider = []
    if interval.low is not None:
        below = np.sort(free[free < interval.low])[::-1]
        low = float(below[step - 1]) if len(below) > step else None
        wider.append(replace(interval, low=low))
    if interval.high is not None:
        above = np.sort(free[free > interval.high])
        high = float(above[step - 1]) if len(above) > step else None
        wider.append(replace(interval, high=high))
    return [(*current.intervals[:index], new, *current.intervals[index + 1 :]) for new in wider]


def _shortened(
    features: Floats, inside: Floats, intervals: tuple[Interval, ...], most: int | None
) -> tuple[Interval, ...] | None:
    """Without intervals that add little: those are left out whose loss keeps the precision, and
    then, where more than `most` are left, those that cost least of it."""
    current = list(intervals)
    while current:
        without = [
            judged(features, inside, tuple(current[:i] + current[i + 1 :]))
            for i in range(len(current))
        ]
        best = int(np.argmax([w.precision for w in without]))
        if without[best].precision < PRECISION and (most is None or len(current) <= most):
            break
        if len(current) == 1:
            break
        current.pop(best)
    if judged(features, inside, tuple(current)).precision < PRECISION:
        pasted = None if most is None else _peeled_on(features, inside, [i.column for i in current])
        return pasted
    return tuple(current)


def _peeled_on(features: Floats, inside: Floats, columns: list[int]) -> tuple[Interval, ...] | None:
    """Intervals from peeling these columns alone."""
    part = features[:, columns]
    found = _pasted(part, inside, _peeled(part, inside))
    if found is None:
        return None
    return tuple(replace(interval, column=columns[interval.column]) for interval in found)


def products(features: Floats, logarithmic: list[int]) -> tuple[Floats, list[tuple[int, int, int]]]:
    """features (n, f) with a column for the sum and the difference of every two of the given
    columns, which hold logarithms, and what those are: (column, column, sign)."""
    pairs = [(a, b) for i, a in enumerate(logarithmic) for b in logarithmic[i + 1 :]]
    made = [(a, b, sign) for a, b in pairs for sign in (1, -1)]
    columns = [features[:, a] + sign * features[:, b] for a, b, sign in made]
    return np.column_stack([features, *columns]) if made else features, made
