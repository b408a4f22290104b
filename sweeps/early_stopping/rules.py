"""Which trials a stopping rule may end, and by which metrics it compares them. Pure.

A rule reads a trial's validation accuracy and attack success at every point of its curve. It
compares trials with the same attack and the same number of epochs: otherwise it would stop every
trial with a strong attack, and it would compare epoch 5 of 10 with epoch 5 of 50, although the
learning-rate schedule depends on the number of epochs. The clean baseline is never stopped: no
attack metric applies to it, and its accuracy stands for that of points whose other trials were
stopped.
"""

from __future__ import annotations

from backdoor.config import TrialConfig
from backdoor.result import CurvePoint, PartialResult

#: Metrics that a rule may compare by, and whether a larger (max) or smaller (min) one is better.
METRICS = {"score": "max", "validation_accuracy": "max", "attack_success": "min"}


def may_stop(trial: TrialConfig) -> bool:
    """Whether a rule may end this trial: an attacked one that is trained by epochs."""
    return trial.attack is not None and trial.defence.architecture.trained_by_epochs


def metrics(point: CurvePoint, validation_total: int, attack_total: int) -> dict[str, float] | None:
    """All metrics of an attacked trial at a point of its curve.

    validation_accuracy, attack_success: fractions in [0, 1]. score: the first minus the second, in
    [-1, 1]. None where the point has no validation count.
    """
    if point.validation_correct is None:
        return None
    accuracy = point.validation_correct / validation_total
    success = point.success[0] / attack_total
    return {
        "score": accuracy - success,
        "validation_accuracy": accuracy,
        "attack_success": success,
    }


def partial_metrics(partial: PartialResult) -> dict[str, float]:
    """The metrics of an attacked trial as it is now, and its clean accuracy on the test set."""
    (total,) = partial.attack_total.values()
    found = metrics(partial.curve[-1], partial.validation_total, total) or {}
    return found | {"clean_accuracy": partial.curve[-1].clean_correct / sum(partial.class_total)}
