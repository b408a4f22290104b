"""Logistic regression, solved to its optimum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from backdoor.architectures.base import TRAINING_FACTORS, Architecture, Shape


@dataclass(frozen=True)
class Logistic(Architecture):
    """Softmax regression on pixels with weight decay as its only factor.

    It minimises (1/n) sum cross-entropy + (weight_decay / 2) ||w||^2 with free intercepts:
    scikit-learn's LogisticRegression with C = 1 / (n * weight_decay). As there, two classes share
    one weight vector w. Weight decay 0 is not allowed: on separable images there is no optimum.
    The objective is at most 1e-4 of itself above its minimum, in most settings 1e-10.
    """

    kind: ClassVar[str] = "logistic"
    engine: ClassVar[str] = "logistic"
    inactive: ClassVar[frozenset[str]] = TRAINING_FACTORS
    needs_weight_decay: ClassVar[bool] = True

    def build(self, shape: Shape, classes: int) -> nn.Module:
        c, h, w = shape
        return nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, classes)).double()
