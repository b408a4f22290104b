"""Multinomial logistic regression on pixels, trained by stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from backdoor.architectures.base import Architecture, Shape


@dataclass(frozen=True)
class Linear(Architecture):
    """One layer from pixels to logits; with cross-entropy this is softmax regression."""

    kind: ClassVar[str] = "linear"
    engine: ClassVar[str] = "packed"

    def build(self, shape: Shape, classes: int) -> nn.Module:
        c, h, w = shape
        return nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, classes))
