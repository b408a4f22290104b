"""What the best accuracy in a sweep is taken from, which thresholds such as `best - 0.05` need.

A broken model, which collapsed or diverged, counts for its own point and not for the best accuracy:
one of them would lower the mean of the most accurate point, and so what is asked of all points. The
rule, which a hand calculation can follow:

1. An attack whose models are broken with every seed does not count at this point.
2. A seed with which a model of some other attack is broken is left out for all attacks. So all are
   averaged over the same seeds, which share splits: of two attacks that do as well, the one that
   has lost an easy seed would otherwise look worse.
3. The point's accuracy is the lowest mean over these attacks. Where no seed is left, the point says
   nothing of the best accuracy.

The clean baseline, where it stands for a panel, is averaged over its unbroken seeds.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sweeps.records.trial_row import TrialRow

PANEL, BASELINE = "panel", "baseline"


@dataclass(frozen=True)
class AccuracyReference:
    """A point's accuracies on the validation and the test set, fractions in [0, 1], and which
    models they are of: those that the `panel` poisoned, or the clean `baseline`."""

    validation_accuracy: float
    clean_accuracy: float
    source: str


def from_panel(
    rows: Sequence[TrialRow], panel: Collection[str], seeds: Sequence[int]
) -> AccuracyReference | None:
    """The panel among a point's finished rows, by its unbroken models; None while one is missing,
    and where no seed is left. panel: ids of the attacks."""
    found = {(row.attack_id, row.seed): row for row in rows}
    if any((name, seed) not in found for name in panel for seed in seeds):
        return None
    attacks = [[found[name, seed] for seed in seeds] for name in panel]
    counted = [own for own in attacks if not all(row.broken for row in own)]
    out = {row.seed for own in counted for row in own if row.broken}
    means = [_means(own) for own in ([r for r in o if r.seed not in out] for o in counted) if own]
    if not means:
        return None
    return AccuracyReference(min(v for v, _ in means), min(c for _, c in means), PANEL)


def from_baseline(rows: Sequence[TrialRow], seeds: Sequence[int]) -> AccuracyReference | None:
    """The clean baseline among a point's finished rows, by its unbroken models; None while a seed
    of it is missing, and where all are broken.

    It replaces the panel where a trial was stopped early. A stopping rule that looks for failed
    attacks stops just the accurate points where attacks succeed; without them the threshold
    would be too low for `best - x`, and points would be called IN that are not. A model trained on
    clean data is seldom worse, so the threshold from the baseline is slightly too high.
    """
    found = {row.seed: row for row in rows if row.is_clean}
    if any(seed not in found for seed in seeds):
        return None
    own = [found[seed] for seed in seeds if not found[seed].broken]
    return AccuracyReference(*_means(own), BASELINE) if own else None


def _means(rows: Sequence[TrialRow]) -> tuple[float, float]:
    """Validation and test accuracy of at least one row."""
    validation = sum(row.validation_accuracy or 0.0 for row in rows) / len(rows)
    return validation, sum(row.clean_accuracy or 0.0 for row in rows) / len(rows)
