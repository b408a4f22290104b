"""The region of a search as rules: intervals of factors that hold inside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backdoor.settings.schema import round_significant
from sweeps.levelset.columns import Bools, Floats
from sweeps.levelset.describe import (
    PRECISION,
    Description,
    Interval,
    describe,
    judged,
    products,
)
from sweeps.records.model_answer import DescriptionEntry, IntervalEntry
from sweeps.region.fitted_region import FittedRegion
from sweeps.space.scale import Scale

#: Intervals of a short rule at most.
SHORT = 3
#: A category of fewer points is not described.
FEWEST = 64
#: What a column of features is called, and whether it holds logarithms of values.
FeatureColumn = tuple[str, bool]


def largest_box(fitted: FittedRegion) -> DescriptionEntry | None:
    """Intervals of factors; None where none is precise enough."""
    return _best_category(fitted, derived=False)


def short_rule(fitted: FittedRegion) -> DescriptionEntry | None:
    """A few intervals of factors, and of products and ratios of factors; None likewise."""
    return _best_category(fitted, derived=True)


def _best_category(fitted: FittedRegion, derived: bool) -> DescriptionEntry | None:
    """The description, of one combination of the factors that have no order, that covers most of
    the region."""
    best: DescriptionEntry | None = None
    total = fitted.inside.sum()
    codes = fitted.points[:, list(fitted.domain.columns.codes)]
    for combination in np.unique(codes, axis=0):
        where = (codes == combination).all(axis=1)
        found = _describe(fitted, where, derived)
        if found is None:
            continue
        description, intervals = found
        share = float(description.coverage * fitted.inside[where].sum() / total)
        if best is None or share > best["coverage"]:
            best = {
                "category": fitted.category(int(np.flatnonzero(where)[0])),
                "intervals": intervals,
                "precision": description.precision,
                "coverage": share,
            }
    return best


def _describe(
    fitted: FittedRegion, where: Bools, derived: bool
) -> tuple[Description, list[IntervalEntry]] | None:
    """One category, the points of which are `where`, (POINTS,)."""
    points, inside, axes = fitted.points[where], fitted.inside[where], fitted.domain.number_axes
    used = [column for column in axes if np.ptp(points[:, column]) > 0]
    if not used:
        whole = judged(points, inside, ())
        return (whole, []) if whole.precision >= PRECISION else None
    if len(points) < FEWEST:
        return None
    features, columns = _features(points, used, [axes[column] for column in used], derived)
    found = describe(features, inside, SHORT if derived else None)
    if found is None:
        return None
    return found, [_interval(interval, columns[interval.column]) for interval in found.intervals]


def _features(
    points: Floats, used: Sequence[int], axes: Sequence[tuple[str, Scale]], derived: bool
) -> tuple[Floats, list[FeatureColumn]]:
    """Values by column, (n, f), logarithms where the scale has them, so that sums are products of
    factors; derived: with these products and ratios."""
    columns = [(name, scale.log) for name, scale in axes]
    values = [
        scale.to_value_axis(points[:, column])
        for column, (_, scale) in zip(used, axes, strict=True)
    ]
    features = np.column_stack(values)
    if not derived:
        return features, columns
    features, made = products(features, [i for i, (_, log) in enumerate(columns) if log])
    for a, b, sign in made:
        word = "x" if sign > 0 else "/"
        columns.append((f"{columns[a][0]} {word} {columns[b][0]}", True))
    return features, columns


def _interval(interval: Interval, column: FeatureColumn) -> IntervalEntry:
    name, log = column
    low, high = (
        None if bound is None else round_significant(10**bound if log else bound)
        for bound in (interval.low, interval.high)
    )
    return {"factor": name, "low": low, "high": high}
