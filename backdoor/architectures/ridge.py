"""Ridge classifier: least squares on +1 / -1 targets, solved exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from backdoor.architectures.base import TRAINING_FACTORS, Architecture, Shape


@dataclass(frozen=True)
class Ridge(Architecture):
    """One-against-rest least squares on pixels with weight decay as its only factor.

    It minimises (1/n) sum (y - f(x))^2 + (weight_decay / 2) ||w||^2 per class with a free
    intercept: scikit-learn's RidgeClassifier with alpha = n * weight_decay / 2.
    """

    kind: ClassVar[str] = "ridge"
    engine: ClassVar[str] = "convex"
    inactive: ClassVar[frozenset[str]] = TRAINING_FACTORS
    cross_entropy: ClassVar[bool] = False

    def build(self, shape: Shape, classes: int) -> nn.Module:
        c, h, w = shape
        return nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, classes)).double()
