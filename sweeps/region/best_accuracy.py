"""What the best accuracy in a sweep is taken from, which thresholds such as `best - 0.05` need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.records.trial_row import TrialRow


@dataclass(frozen=True)
class AccuracyReference:
    """A point's accuracies on the validation and the test set, fractions in [0, 1], and which
    models they are of: those that the `panel` poisoned, or the clean `baseline`."""

    validation_accuracy: float
    clean_accuracy: float
    source: str


def from_baseline(rows: Sequence[TrialRow], seeds: Sequence[int]) -> AccuracyReference | None:
    """The clean baseline among a point's finished rows; None while a seed of it is missing.

    It replaces the panel where a trial was stopped early. A stopping rule that looks for failed
    attacks stops just the accurate points where attacks succeed; without them the threshold
    would be too low for `best - x`, and points would be called IN that are not. A model trained on
    clean data is seldom worse, so the threshold from the baseline is slightly too high.
    """
    found = {row.seed: row for row in rows if row.is_clean}
    if any(seed not in found for seed in seeds):
        return None
    own = [found[seed] for seed in seeds]
    validation = sum(row.validation_accuracy or 0.0 for row in own) / len(own)
    return AccuracyReference(
        validation, sum(row.clean_accuracy or 0.0 for row in own) / len(own), "baseline"
    )
