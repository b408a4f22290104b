"""What the best accuracy in a sweep is taken from, which thresholds such as `best - 0.05` need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeps.ledger import accuracies


@dataclass(frozen=True)
class Reference:
    """A point's accuracies on the validation and the test set, fractions in [0, 1], and which
    models they are of: those that the `panel` poisoned, or the clean `baseline`."""

    validation_accuracy: float
    clean_accuracy: float
    source: str


def from_baseline(rows: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> Reference | None:
    """The clean baseline among a point's finished rows; None while a seed of it is missing.

    It stands in for the panel where a trial was stopped early. A stopping rule that looks for
    failed attacks stops just the accurate points where attacks take; without them `best - x` would
    ask too little, and call points IN that are not. A model trained on clean data is seldom the
    worse one, so that the stand-in rather asks too much.
    """
    found = {row["seed"]: accuracies(dict(row)) for row in rows if row["attack_id"] == "clean"}
    if any(seed not in found for seed in seeds):
        return None
    validation, clean = (
        sum(found[seed][name] for seed in seeds) / len(seeds)
        for name in ("validation_accuracy", "clean_accuracy")
    )
    return Reference(validation, clean, "baseline")
