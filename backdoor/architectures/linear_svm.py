"""Linear support vector machine, solved by libsvm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from backdoor.architectures.base import TRAINING_FACTORS, Architecture, Shape
from backdoor.architectures.one_vs_one import Votes, pairs


@dataclass(frozen=True)
class LinearSvm(Architecture):
    """One-against-one linear machines on pixels with weight decay as their only factor.

    Each minimises sum hinge / n + (weight_decay / 2) ||w||^2 over the images of its two classes,
    the intercept free, n being the size of the whole training set: scikit-learn's
    SVC(kernel="linear") with C = 1 / (n * weight_decay). The pairs vote on the class.
    """

    kind: ClassVar[str] = "linear_svm"
    engine: ClassVar[str] = "svm"
    inactive: ClassVar[frozenset[str]] = TRAINING_FACTORS
    cross_entropy: ClassVar[bool] = False
    needs_weight_decay: ClassVar[bool] = True
    most_images: ClassVar[int | None] = 20_000

    def build(self, shape: Shape, classes: int) -> nn.Module:
        c, h, w = shape
        machines = nn.Linear(c * h * w, len(pairs(classes)))
        return nn.Sequential(nn.Flatten(), machines, Votes(classes)).double()
