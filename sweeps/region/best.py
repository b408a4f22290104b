"""The best accuracy in a sweep, from which thresholds such as `best - 0.05` are counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeps.ledger import accuracies

if TYPE_CHECKING:
    from sweeps.region.points import Point


@dataclass(frozen=True)
class Best:
    """The point of highest validation accuracy, and what its clean accuracy is taken from: the
    `panel`'s poisoned models, or its clean `baseline`."""

    defence_id: str
    validation_accuracy: float
    clean_accuracy: float
    source: str


def best_point(points: Iterable[Point], seeds: Sequence[int]) -> Best | None:
    """Among all points that are known well enough: the test set does not choose.

    Where a trial was stopped early, the clean baseline stands in for the panel. A stopping rule
    that looks for failed attacks stops just the accurate points where attacks take; without them
    `best - x` would ask too little, and call points IN that are not. A model trained on clean data
    is seldom the worse one, so that the stand-in rather asks too much.
    """
    known = [found for point in points if (found := _known(point, seeds)) is not None]
    return max(known, key=lambda best: best.validation_accuracy, default=None)


def _known(point: Point, seeds: Sequence[int]) -> Best | None:
    if point.complete:
        return Best(point.defence_id, point.validation_accuracy, point.clean_accuracy, "panel")
    baseline = [accuracies(dict(row)) for row in point.baseline]
    if not point.stopped or len(baseline) < len(seeds):
        return None
    validation, clean = (
        sum(found[name] for found in baseline) / len(baseline)
        for name in ("validation_accuracy", "clean_accuracy")
    )
    return Best(point.defence_id, validation, clean, "baseline")
