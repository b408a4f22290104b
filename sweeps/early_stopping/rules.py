"""Which trials a stopping rule may end, and by what it compares them. Pure.

A rule sees a trial's validation accuracy and attack success after every point of its curve, and
compares trials that have the attack and the number of epochs in common: a strong attack would
else stop every trial it has a part in, and a schedule that follows the epochs makes epoch 5 of 10
another thing than epoch 5 of 50. The clean baseline is never stopped: no attack metric applies to
it, and it stands in for the accuracy of points whose other trials were stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from backdoor.config import TrialConfig
from backdoor.result import PartialResult

#: Metrics that a rule may compare by, and whether more (max) or less (min) is better.
METRICS = {"score": "max", "validation_accuracy": "max", "attack_success": "min"}


def may_stop(trial: TrialConfig) -> bool:
    """Whether a rule may end this trial: an attacked one that is trained by epochs."""
    return trial.attack is not None and trial.defence.architecture.trained_by_epochs


def last_decision(epochs: int, curve_every: int) -> int:
    """The last epoch after which a training of `epochs` can be stopped; 0 where there is none."""
    return (epochs - 1) // curve_every * curve_every


def metrics(
    point: Mapping[str, Any], validation_total: int, attack_total: int
) -> dict[str, float] | None:
    """All metrics of a curve point (`CurvePoint` as a mapping) of an attacked trial.

    validation_accuracy, attack_success: fractions in [0, 1]. score: the first minus the second, in
    [-1, 1]. None where the point has no validation count.
    """
    if point["validation_correct"] is None:
        return None
    accuracy = point["validation_correct"] / validation_total
    success = point["success"][0] / attack_total
    return {
        "score": accuracy - success,
        "validation_accuracy": accuracy,
        "attack_success": success,
    }


def partial_metrics(partial: PartialResult) -> dict[str, float]:
    """The metrics of an attacked trial as it is now, and its clean accuracy on the test set."""
    (total,) = partial.attack_total.values()
    found = metrics(asdict(partial.curve[-1]), partial.validation_total, total) or {}
    return found | {"clean_accuracy": partial.curve[-1].clean_correct / sum(partial.class_total)}
